"""Logging: structlog and the standard library's loggers into one stream, without secrets.

On a terminal lines are for people; everywhere else each is one JSON object. They go to standard error, because standard
output belongs to what a command was asked for.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import structlog

MASK = "***"
# The id of a key stays: it says which key was used, and opens nothing.
_API_KEY = re.compile(r"\b(jt_[A-Za-z0-9]+_)[A-Za-z0-9_-]+")
# However headers are written down: `Authorization: Bearer x`, {"authorization": "x"}, (b'authorization', b'Bearer x').
_AUTHORIZATION = re.compile(
    r"""((?:proxy-)?authorization[\\"']*\s*[:=,]\s*(?:b?[\\"']+)?(?:(?:bearer|basic|token|apikey)\s+)?)[^\s\\"',)}\]]+""",
    re.IGNORECASE,
)
# A password may hold a colon, and one that was not quoted as it should be even an @.
_DSN_PASSWORD = re.compile(r"""(\b[a-z][a-z0-9+.-]*://[^\s:/@"'\\]*:)[^\s/"'\\]+(@)""", re.IGNORECASE)
_NAMES = ("password", "passwd", "pgpassword", "api_key", "apikey", "bootstrap_key", "secret", "lease_token")
_NAMED = re.compile(
    rf"""(\b(?:{"|".join(_NAMES)})[\\"']*\s*[:=]\s*[\\"']*)[^\s\\"',&)}}\]]+""",
    re.IGNORECASE,
)
_HIDDEN_FIELDS = frozenset({*_NAMES, "authorization"})
_OF_LINES = frozenset({"event", "exception", "stack"})
# Lines about every start, stop and request of libraries that speak for themselves elsewhere.
_QUIET = dict.fromkeys(("alembic.runtime.plugins", "httpx", "uvicorn.access", "uvicorn.error"), logging.WARNING)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Give the text with every secret masked that can be told by its form, and the given ones."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _DSN_PASSWORD.sub(rf"\1{MASK}\2", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    return _API_KEY.sub(rf"\1{MASK}", text)


def _without_named(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask before colours come between a name and its value, and escape what would move a terminal's cursor."""
    del logger, method
    for key, value in event.items():
        if key.lower() in _HIDDEN_FIELDS:
            event[key] = MASK
        elif isinstance(value, str):
            text = scrub(value)
            event[key] = text if key in _OF_LINES or text.isprintable() else repr(text)
    return event


def configure(*, secrets: Iterable[str] = (), level: int = logging.INFO, as_json: bool | None = None) -> None:
    """Set logging up for this process; `secrets` are masked wherever they appear, whatever they look like."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    hidden = tuple(secret for secret in secrets if secret)
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        rendering: list[Callable[..., Any]] = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    else:
        # No rich tracebacks: they print the locals of every frame, keys among them.
        rendering = [_without_named, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]

    def masked(logger: object, method: str, line: Any) -> str:
        """The last step works on the finished line, so that tracebacks and foreign loggers are covered as well."""
        del logger, method
        return scrub(line, hidden)

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering, masked],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    # One form for both ways of logging: the pre-chain runs once, in the formatter.
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
