"""Who a person is and how they prove it: users, logins, tokens."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
