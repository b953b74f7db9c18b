"""Django's database sessions, bound to their logins: a login follows its session's key and ends with it."""

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import transaction

from accounts.models import Login
from accounts.services import end_logins


class SessionStore(DatabaseStore):
    """Covers every way a session changes or ends, also those that send no signal."""

    def _validate_session_key(self, key: str | None) -> bool:
        """A quoted cookie may hold a NUL, at which PostgreSQL raises."""
        return bool(key) and str(key).isalnum() and len(str(key)) >= 8

    @transaction.atomic
    def cycle_key(self) -> None:
        before = self.session_key
        super().cycle_key()
        Login.objects.filter(session_key=before).update(session_key=self.session_key)

    @transaction.atomic
    def flush(self) -> None:
        before = self.session_key
        super().flush()
        end_logins(Login.objects.filter(session_key=before))

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()

    async def aflush(self) -> None:
        await sync_to_async(self.flush)()

    @classmethod
    @transaction.atomic
    def clear_expired(cls) -> None:
        super().clear_expired()
        sessions = cls.get_model_class().objects.values("session_key")
        end_logins(Login.objects.exclude(session_key__in=sessions))
