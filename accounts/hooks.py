"""What the apps above do when a login or an account ends, and whom they let sign up: called inside our transactions."""

from collections.abc import Callable, Collection
from uuid import UUID

from django.http import HttpRequest

from accounts.models import User

LoginEnd = Callable[[Collection[UUID], UUID], None]
AccountEnd = Callable[[User], None]
SignupGuard = Callable[[HttpRequest], bool]

_login_end: list[LoginEnd] = []
_account_end: list[AccountEnd] = []
_signup: list[SignupGuard] = []


def on_login_end(fn: LoginEnd) -> LoginEnd:
    """Call `fn(login_ids, user_id)` whenever logins end, in the transaction that ends them."""
    _login_end.append(fn)
    return fn


def on_account_end(fn: AccountEnd) -> AccountEnd:
    """Call `fn(user)` when an account is deactivated, in that transaction."""
    _account_end.append(fn)
    return fn


def on_closed_signup(fn: SignupGuard) -> SignupGuard:
    """Where sign-up is closed, `fn(request)` may still open it, as for one who accepts an invitation."""
    _signup.append(fn)
    return fn


def logins_ended(login_ids: Collection[UUID], user_id: UUID) -> None:
    for fn in _login_end:
        fn(login_ids, user_id)


def account_ended(user: User) -> None:
    for fn in _account_end:
        fn(user)


def signup_opened(request: HttpRequest) -> bool:
    return any(fn(request) for fn in _signup)
