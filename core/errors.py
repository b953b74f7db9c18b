"""Every error a client can see: code, HTTP status, close code, title. One tree for both transports."""

from collections.abc import Mapping, Sequence


class ConclaveError(Exception):
    """The root. `code` is stable, `detail` is for people, `retry_after` is in seconds."""

    code = "internal"
    http_code: str | None = None
    """The code in HTTP where it differs from the socket's."""
    status = 500
    close: int | None = 1011
    title = "Something went wrong on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        retry_after: float | None = None,
        errors: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after = retry_after
        self.errors = errors


class Internal(ConclaveError):
    """Raised by nobody: what an unforeseen exception becomes."""


class BadFrame(ConclaveError):
    """Not JSON, an unknown type, a missing, extra or mistyped field. Ten in a minute close a socket."""

    code, http_code, status, close = "bad_frame", "bad_request", 400, 4400
    title = "That could not be read"


class Invalid(ConclaveError):
    """Well-formed, but a value is out of bounds."""

    code, status, close = "invalid", 400, None
    title = "A value is out of bounds"


class NotAuthenticated(ConclaveError):
    code, status, close = "not_authenticated", 401, 4401
    title = "Sign in first"


class Expired(ConclaveError):
    code, status, close = "expired", 401, 4410
    title = "The token has expired: refresh it"


class Revoked(ConclaveError):
    code, status, close = "revoked", 401, 4411
    title = "The session has ended: sign in again"


class MfaRequired(ConclaveError):
    code, status, close = "mfa_required", 403, None
    title = "A second factor is required"


class StepUpRequired(ConclaveError):
    code, status, close = "step_up_required", 403, None
    title = "Confirm that it is you first"


class Forbidden(ConclaveError):
    """They may see it, but not do this to it."""

    code, status, close = "forbidden", 403, None
    title = "You may not do that"


class NoSeat(ConclaveError):
    code, status, close = "no_seat", 404, 4403
    title = "No such organization"


class TenantSuspended(ConclaveError):
    code, status, close = "tenant_suspended", 403, 4403
    title = "This organization is suspended"


class NotFound(ConclaveError):
    """There is no such thing, or not for this actor: the same words for both."""

    code, status, close = "not_found", 404, None
    title = "No such thing"


class Conflict(ConclaveError):
    code, status, close = "conflict", 409, None
    title = "Someone was faster"


class TooLarge(ConclaveError):
    code, status, close = "too_large", 413, 1009
    title = "That is too large"


class RateLimited(ConclaveError):
    code, status, close = "rate_limited", 429, 4429
    title = "Slow down"


class SlowConsumer(ConclaveError):
    code, status, close = "slow_consumer", 503, 4408
    title = "The connection does not keep up"


class Unavailable(ConclaveError):
    code, status, close = "unavailable", 503, 1013
    title = "Try again shortly"


class Restart(ConclaveError):
    code, status, close = "restart", 503, 1012
    title = "The server restarts"
