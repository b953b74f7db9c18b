"""Addresses of sockets."""

from typing import Any

from django.urls import path, re_path

from chat.consumers import ChatConsumer, Refuse

_chat: Any = ChatConsumer.as_asgi()
_refuse: Any = Refuse.as_asgi()
urlpatterns = [
    path("ws/v1/<str:slug>/", _chat),
    path("ws/v1/<str:slug>/rooms/<str:room>/", _chat),
    re_path("", _refuse),
]
