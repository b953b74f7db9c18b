"""Counts guesses at mailed codes before they are compared: parallel ones slip by allauth's count in the session.

Where guesses can't be counted nobody guesses: without the cache, signing in is answered 503.
"""

import hashlib

import structlog
from allauth.core.internal import ratelimit
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin
from redis import RedisError

GUESSED = frozenset(
    {
        "account_email_verification_sent",
        "account_confirm_password_reset_code",
        "account_confirm_login_code",
        *(
            f"headless:{client}:account:{name}"
            for client in ("app", "browser")
            for name in ("verify_email", "reset_password", "confirm_login_code")
        ),
    }
)
"""The views that take a code. The headless ones take it on GET too, in a header."""

log = structlog.get_logger(__name__)

CODE_HEADERS = ("X-Email-Verification-Key", "X-Password-Reset-Key")


class GuessLimit(MiddlewareMixin):
    """So many codes per session and quarter of an hour, whatever RATE_LIMIT_FACTOR says."""

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or match.view_name not in GUESSED or not _is_guess(request):
            return None
        session = request.headers.get("X-Session-Token") or request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        key = hashlib.sha256(session.encode()).hexdigest()
        try:
            if ratelimit.consume(request, app="allauth.account", action="guess_code", key=key, limit_get=True):
                return None
        except RedisError as error:
            return self.process_exception(request, error)
        if match.view_name.startswith("headless:"):
            return JsonResponse({"status": 429}, status=429)
        page: HttpResponse = ratelimit.respond_429(request)
        return page

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, RedisError):
            return None
        log.warning("guesses can't be counted: the cache is away")
        headers = {"Retry-After": "5", "Cache-Control": "no-store"}
        if request.path.startswith("/_allauth/"):
            return JsonResponse({"status": 503}, status=503, headers=headers)
        text = "Signing in is not possible at the moment. Try again shortly."
        return HttpResponse(text, status=503, content_type="text/plain", headers=headers)


def _is_guess(request: HttpRequest) -> bool:
    return request.method == "POST" or any(name in request.headers for name in CODE_HEADERS)
