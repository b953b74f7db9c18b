"""Addresses below /api/v1/."""

from django.urls import path

from accounts import api

urlpatterns = [
    path("me/", api.MeView.as_view(), name="me"),
    path("me/sessions/", api.SessionsView.as_view(), name="sessions"),
    path("me/sessions/<uuid:login>/", api.SessionView.as_view(), name="session"),
]
