"""Reads the environment: every setting that a person may set, checked, or one clear line and no start."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

import dj_database_url
from environs import Env, EnvError

LAYER_CAPACITY = 10_000
"""Events one process may have waiting in its own channel; past it the layer drops, and the hub reads the database."""
CACHE_ENTRIES = 20_000
"""Rows that the cache in the database may have."""


def stop(name: str, reason: str) -> NoReturn:
    """End the start with one line that names the setting and what is wrong with it."""
    sys.stderr.write(f"conclave: {name}: {reason}\n")
    raise SystemExit(2)


class Environment:
    """The process environment and `.env` beside `manage.py`; a wrong value ends the start."""

    def __init__(self, root: Path) -> None:
        self._env = Env()
        self._env.read_env(str(root / ".env"), recurse=False)
        self._root = root

    def text(self, name: str, default: str = "") -> str:
        """The setting, or the default where it is empty or not set."""
        value: str = self._env.str(name, "")
        return value.strip() or default

    def flag(self, name: str, default: bool) -> bool:
        try:
            value: bool = self._env.bool(name) if self.text(name) else default
        except EnvError:
            stop(name, f"{self.text(name)!r} is neither 0 nor 1")
        return value

    def number(self, name: str, default: int, low: int = 0, high: int = 2**31) -> int:
        try:
            value: int = self._env.int(name) if self.text(name) else default
        except EnvError:
            stop(name, f"{self.text(name)!r} is not a whole number")
        if not low <= value <= high:
            stop(name, f"{value} is not between {low} and {high}")
        return value

    def factor(self, name: str, default: float) -> float:
        try:
            value: float = self._env.float(name) if self.text(name) else default
        except EnvError:
            stop(name, f"{self.text(name)!r} is not a number")
        if not 0 <= value < float("inf"):
            stop(name, f"{value} is not a number of 0 or more")
        return value

    def words(self, name: str, default: list[str]) -> list[str]:
        text = self.text(name)
        return [word.strip() for word in text.split(",") if word.strip()] if text else default

    def choice(self, name: str, default: str, among: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in among:
            stop(name, f"{value!r} is not one of {', '.join(among)}")
        return value

    def address(self, name: str, default: str) -> str:
        """An http(s) origin, without a path."""
        value = self.text(name, default).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
            stop(name, f"{value!r} is not an address like https://chat.example.org")
        return value

    def database(self) -> dict[str, Any]:
        """Django's DATABASES entry: SQLite with one writer at a time and no lock errors, or pooled PostgreSQL."""
        url = self.text("DATABASE_URL", f"sqlite:///{self._root / 'data' / 'conclave.sqlite3'}")
        try:
            found: dict[str, Any] = {**dj_database_url.parse(url)}
        except (ValueError, KeyError):
            stop("DATABASE_URL", "not a sqlite:///path or postgres://user@host/name address")
        engine = found["ENGINE"]
        if engine.endswith("sqlite3"):
            Path(found["NAME"]).parent.mkdir(parents=True, exist_ok=True)
            found["CONN_MAX_AGE"] = None
            found["OPTIONS"] = {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
            }
        elif engine.endswith("postgresql"):
            found["CONN_MAX_AGE"] = 0
            found["OPTIONS"] = {
                **found.get("OPTIONS", {}),
                "prepare_threshold": 2,
                "pool": {"min_size": 2, "max_size": self.number("DATABASE_POOL", 20, 2, 500), "timeout": 10},
                "options": "-c lock_timeout=2000 -c idle_in_transaction_session_timeout=30000",
            }
        else:
            stop("DATABASE_URL", f"{urlsplit(url).scheme}:// is not supported, only sqlite:// and postgres://")
        return found

    def layer(self) -> dict[str, Any]:
        """Django Channels' layer: in memory, Redis on one or several hosts, or RabbitMQ."""
        urls = self.words("CHANNELS_URL", ["memory://"])
        schemes = {urlsplit(url).scheme for url in urls}
        if schemes == {"memory"}:
            return {
                "BACKEND": "channels.layers.InMemoryChannelLayer",
                "CONFIG": {"capacity": LAYER_CAPACITY, "expiry": 60},
            }
        if schemes <= {"redis", "rediss"}:
            hosts = [{"address": url, "socket_timeout": None} for url in urls]
            return {
                "BACKEND": "core.layers.RedisLayer",
                "CONFIG": {"hosts": hosts, "capacity": LAYER_CAPACITY, "prefix": "conclave"},
            }
        if schemes <= {"amqp", "amqps"}:
            return _rabbitmq(urls)
        stop("CHANNELS_URL", f"{urls[0]!r} is neither memory://, redis://host:port/db nor amqp://user:password@host")

    def cache(self) -> dict[str, Any]:
        """Django's cache: a database table when embedded, or Redis. Both count atomically across processes."""
        url = self.text("CACHE_URL", "database://")
        scheme = urlsplit(url).scheme
        if scheme == "database":
            # Past MAX_ENTRIES, 300 unless set, Django drops living rows: counts of guesses would begin anew.
            return {
                "BACKEND": "django.core.cache.backends.db.DatabaseCache",
                "LOCATION": "conclave_cache",
                "OPTIONS": {"MAX_ENTRIES": CACHE_ENTRIES},
            }
        if scheme in ("redis", "rediss"):
            return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
        stop("CACHE_URL", f"{url!r} is neither database:// nor redis://host:port/db")

    def email(self) -> dict[str, Any]:
        """Django's EMAIL_* settings, from console://, file:///folder or smtp://user:password@host:port?tls=1."""
        parts = urlsplit(self.text("EMAIL_URL", "console://"))
        backend = "django.core.mail.backends"
        if parts.scheme == "console":
            return {"EMAIL_BACKEND": f"{backend}.console.EmailBackend"}
        if parts.scheme == "file":
            return {"EMAIL_BACKEND": f"{backend}.filebased.EmailBackend", "EMAIL_FILE_PATH": parts.path}
        if parts.scheme in ("smtp", "smtps") and parts.hostname:
            options = dict(parse_qsl(parts.query))
            ssl = parts.scheme == "smtps"
            return {
                "EMAIL_BACKEND": f"{backend}.smtp.EmailBackend",
                "EMAIL_HOST": parts.hostname,
                "EMAIL_PORT": parts.port or (465 if ssl else 587),
                "EMAIL_HOST_USER": unquote(parts.username or ""),
                "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
                "EMAIL_USE_SSL": ssl,
                "EMAIL_USE_TLS": not ssl and options.get("tls", "1") == "1",
                "EMAIL_TIMEOUT": 10,
            }
        stop("EMAIL_URL", f"{parts.scheme}:// is neither console://, file:///folder nor smtp://host:port")


def _rabbitmq(urls: list[str]) -> dict[str, Any]:
    if len(urls) > 1:
        stop("CHANNELS_URL", "only one amqp:// address: a name may stand for a whole cluster")
    if find_spec("channels_rabbitmq") is None:
        stop("CHANNELS_URL", "for amqp:// install channels-rabbitmq: pip install -r requirements/rabbitmq.txt")
    return {
        "BACKEND": "core.rabbit.RabbitLayer",
        "CONFIG": {
            "host": urls[0].rstrip("/"),
            "local_capacity": LAYER_CAPACITY,
            "remote_capacity": LAYER_CAPACITY,
            "groups_exchange": "conclave",
        },
    }
