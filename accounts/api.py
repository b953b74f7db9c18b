"""REST: who I am, and where I am signed in."""

from typing import ClassVar, cast
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services
from accounts.credentials import Credential
from accounts.models import Login
from accounts.schema import Me, Profile, Session
from core.errors import Forbidden, NotFound


class SessionPages(CursorPagination):
    page_size = 50
    max_page_size = 100
    page_size_query_param = "limit"
    ordering = "-id"


class MeView(APIView):
    """The person behind the credential."""

    @extend_schema(operation_id="me", responses=Me)
    def get(self, request: Request) -> Response:
        return Response(Me(_credential(request).user).data)

    @extend_schema(operation_id="me_change", request=Profile, responses=Me)
    def patch(self, request: Request) -> Response:
        user = _credential(request, signed_in=True).user
        profile = Profile(data=request.data, partial=True)
        profile.is_valid(raise_exception=True)
        return Response(Me(services.change_profile(user, **profile.validated_data)).data)


class SessionsView(APIView):
    """My browsers and programs that are signed in."""

    pagination_class: ClassVar = SessionPages

    @extend_schema(operation_id="sessions", responses=Session(many=True))
    def get(self, request: Request) -> Response:
        credential = _credential(request, signed_in=True)
        pages = SessionPages()
        page = pages.paginate_queryset(_logins_of(credential), request, view=self)
        return pages.get_paginated_response(Session(page, many=True, context={"credential": credential}).data)

    @extend_schema(operation_id="sessions_end_others", responses={204: None})
    def delete(self, request: Request) -> Response:
        credential = _credential(request, signed_in=True)
        services.end_logins(_logins_of(credential).exclude(id=credential.sid))
        return Response(status=status.HTTP_204_NO_CONTENT)


class SessionView(APIView):
    """One of them."""

    @extend_schema(operation_id="session_end", responses={204: None})
    def delete(self, request: Request, login: UUID) -> Response:
        if not services.end_logins(_logins_of(_credential(request, signed_in=True)).filter(id=login)):
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)


def _credential(request: Request, *, signed_in: bool = False) -> Credential:
    """Whoever asks; `signed_in` keeps out tokens that were only given to a program."""
    credential = cast(Credential, request.auth)
    if signed_in and not credential.is_login:
        raise Forbidden("Sign in for this: a token is not enough.")
    return credential


def _logins_of(credential: Credential) -> QuerySet[Login]:
    return Login.objects.filter(user=credential.user)
