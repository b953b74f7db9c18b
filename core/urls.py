"""The HTTP root."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.admin import site
from accounts.pages import profile
from chat.asyncapi import asyncapi
from chat.pages import page_urls
from core.health import livez, readyz
from core.metrics import metrics
from core.problems import errors_page, nowhere

handler400 = "core.problems.bad_request"
handler404 = "core.problems.page_not_found"
handler500 = "core.problems.server_error"

v1 = [
    path("", include("accounts.urls")),
    path("", include("tenants.urls")),
    path("", include("chat.urls")),
]
urlpatterns = [
    path("api/v1/", include(v1)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(template_name="core/docs.html"), name="docs"),
    path("api/docs/errors/", errors_page, name="errors"),
    path("api/asyncapi.json", asyncapi, name="asyncapi"),
    re_path("^api(?:/|$)", nowhere),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics),
    path("accounts/profile/", profile, name="profile"),
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("django-admin/", site.urls),
    path("", include("tenants.pages")),
    *page_urls,
]
