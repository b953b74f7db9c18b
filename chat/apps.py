"""Rooms, messages and the socket."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"
