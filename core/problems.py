"""Problems outside REST framework: unknown addresses below /api/, and what fails before a view is reached."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from core import errors
from core.api import PROBLEM, problem_headers, problem_of
from core.errors import BadFrame, ConclaveError, Internal, NotFound
from core.wire import encode


def problem(error: ConclaveError) -> HttpResponse:
    return HttpResponse(
        encode(problem_of(error)), status=error.status, content_type=PROBLEM, headers=problem_headers(error)
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


@csrf_exempt
def nowhere(_request: HttpRequest) -> HttpResponse:
    """The last pattern below /api/: no such address, for any method, also while debugging."""
    return problem(NotFound())


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(BadFrame()) if _is_api(request) else defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(NotFound()) if _is_api(request) else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    return problem(Internal()) if _is_api(request) else defaults.server_error(request)


@require_safe
def errors_page(request: HttpRequest) -> HttpResponse:
    """Where the `type` of every problem leads: what each code means."""
    kinds = (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ConclaveError))
    shown = {kind.http_code or kind.code: kind for kind in kinds if kind.status >= HTTPStatus.BAD_REQUEST}
    return render(request, "core/errors.html", {"errors": sorted(shown.items())})
