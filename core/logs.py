"""What the log says and how: one line an event, for a console or as JSON, with every secret taken out first."""

import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "[hidden]"
SECRET_NAMES = re.compile(r"password|secret|token|authorization|cookie|csrf|session_?key|api_?key|otp", re.IGNORECASE)
SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(authorization|cookie)(['\"]?\s*[:=,]\s*)[^\r\n]+", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    (re.compile(r"(bearer[ .])[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\bccl_[A-Za-z0-9_-]+"), HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*"), HIDDEN),
    (
        re.compile(r"((?:password|secret|token|sessionid)['\"]?\s*[:=]\s*)['\"]?[^\s'\",;&}]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(/invite/|/api/v1/invitations/|/reset/key/|/confirm-email/)[^/\s'\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(\w+://[^\s:/@]*:)[^\s/@]+@"), rf"\1{HIDDEN}@"),
)
"""Headers, credentials wherever they stand, `name=value`, links that are a key, addresses with a password."""


def hide(text: str) -> str:
    """The same text with everything that opens a door taken out."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def _clean(name: str, value: Any) -> Any:
    if SECRET_NAMES.search(name):
        return HIDDEN
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {str(key): _clean(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return hide(str(value))


def scrub(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog step: the last before a line is written, so that nothing added on the way escapes it."""
    return {name: _clean(name, value) for name, value in event.items()}


_ENRICH: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]
_NOISE = ("request", "websocket", "_record", "_from_structlog", "status_code", "taskName")
"""What libraries hang on a record that is no part of the line: whole request objects above all."""


def _drop_noise(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name in _NOISE:
        event.pop(name, None)
    return event


def _renderer(style: str) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def configure(style: str, *, level: str = "INFO") -> dict[str, Any]:
    """Set structlog up and answer Django's `LOGGING`. `style` is `console` or `json`; both go to standard error."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    line = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [structlog.stdlib.ExtraAdder()],
        "processors": [*_ENRICH, _drop_noise, scrub, _renderer(style)],
    }
    quiet: dict[str, Any] = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {**quiet, "level": level},
            "django.server": {**quiet, "level": level},
            # The access line tells of every answer: a second line is due only for what broke.
            "django.request": {**quiet, "level": "ERROR"},
            # A foreign Host is any scanner's, and refused: Django would log a traceback each time.
            "django.security.DisallowedHost": {**quiet, "level": "CRITICAL"},
            "daphne": {**quiet, "level": "WARNING"},
            # Lost layers: the hub says so once. These say it each second, with tracebacks, or with whole messages.
            "channels_redis": {**quiet, "level": "CRITICAL"},
            "channels_rabbitmq": {**quiet, "level": "CRITICAL"},
            "carehare": {**quiet, "level": "CRITICAL"},
        },
    }
