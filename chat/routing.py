"""Addresses of sockets."""

from django.urls import path, re_path

from chat.consumers import ChatConsumer, Refuse

urlpatterns = [
    path("ws/v1/<str:slug>/", ChatConsumer.as_asgi()),
    path("ws/v1/<str:slug>/rooms/<str:room>/", ChatConsumer.as_asgi()),
    re_path("", Refuse.as_asgi()),
]
