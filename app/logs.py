"""Logging: structlog and the standard library's loggers write to one stream, without secrets.

On a terminal lines are for people; elsewhere each line is one JSON object. They go to standard error, because standard
output is for the result of a command.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import structlog

MASK = "***"
# The id of a key is kept: it says which key was used, and grants nothing.
_API_KEY = re.compile(r"\b(jt_[A-Za-z0-9]+_)[A-Za-z0-9_-]+")
# Headers in any notation: `Authorization: Bearer x`, {"authorization": "x"}, (b'authorization', b'Bearer x').
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
# Libraries that log every start, stop or request, which is logged elsewhere already.
_QUIET = dict.fromkeys(("alembic.runtime.plugins", "httpx", "uvicorn.access", "uvicorn.error"), logging.WARNING)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with the given secrets masked, and every secret that can be recognized by its form."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _DSN_PASSWORD.sub(rf"\1{MASK}\2", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    return _API_KEY.sub(rf"\1{MASK}", text)


def _without_named(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask secrets before colour codes separate a name from its value."""
    del logger, method
    for key, value in event.items():
        event[key] = MASK if key.lower() in _HIDDEN_FIELDS else scrub(value) if isinstance(value, str) else value
    return event


def configure(*, secrets: Iterable[str] = (), level: int = logging.INFO, as_json: bool | None = None) -> None:
    """Configure logging for this process; `secrets` are masked wherever they appear, whatever their form."""
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
        """Mask the finished line, as the last step, so that tracebacks and foreign loggers are covered as well."""
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
    # One format for both ways of logging: the pre-chain runs once, in the formatter.
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
