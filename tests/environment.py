"""The environment of the suite's own process: STACK=embedded (SQLite, memory) or STACK=real (PostgreSQL, Redis)."""

import os

from tests import servers

KNOWN = (
    "SECRET_KEY_FALLBACKS",
    "JWT_KEYS",
    "DEFAULT_FROM_EMAIL",
    "STORAGE_URL",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "METRICS_TOKEN",
    "DATABASE_URL",
    "CHANNELS_URL",
    "CACHE_URL",
    "EMAIL_URL",
)
"""Settings that are empty unless a test says otherwise: a developer's `.env` must not reach the tests."""

LIMITS = (
    *("FRAMES", "BYTES", "CONNECTS_ADDRESS", "CONNECTS_USER", "CONNECTS_TENANT", "SENDS_USER", "SENDS_TENANT"),
    *("JOINS_USER", "JOINS_TENANT", "BAD_TOKENS_ADDRESS"),
)


def plain(port: int = 8000) -> dict[str, str]:
    """Every setting, none of it from this machine. No limits hold but allauth's on guessing: the tests of limits set
    their own."""
    return {
        **dict.fromkeys(KNOWN, ""),
        **{f"LIMIT_{name}": "" for name in LIMITS},
        "LIMIT_GUESSES_ADDRESS": "1000000/60",
        "LIMIT_GUESSES_USER": "1000000/60",
        "SOCKET_REFUSALS": "",
        "SECRET_KEY": "not-a-secret-" + "t" * 40,
        "DEBUG": "0",
        "PUBLIC_URL": f"http://localhost:{port}",
        "TRUSTED_PROXY_COUNT": "0",
        "RATE_LIMIT_FACTOR": "0",
        "OPEN_SIGNUP": "1",
        "LOG_FORMAT": "console",
    }


def stack_name() -> str:
    name = os.environ.get("STACK", "embedded")
    if name not in ("embedded", "real"):
        raise SystemExit(f"STACK={name} is neither embedded nor real")
    return name


def prepare() -> str:
    """Set the environment before Django reads it. Answers what is missing for it, or nothing."""
    os.environ.update(plain())
    if stack_name() == "embedded":
        return ""
    database, layer = servers.postgres(), servers.redis()
    if database is None or layer is None:
        return "no PostgreSQL on this machine" if database is None else "no Redis on this machine"
    os.environ.update(DATABASE_URL=database.url, CHANNELS_URL=f"{layer.url}/0", CACHE_URL=f"{layer.url}/1")
    return ""
