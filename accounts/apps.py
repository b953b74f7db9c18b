"""Who a person is and how they prove it: users, logins, tokens."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        """Receivers need the models, which exist only now: hence the import here."""
        from accounts import signals  # noqa: F401, PLC0415
