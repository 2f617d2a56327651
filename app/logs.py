"""Logging: structlog and the standard library's loggers write to one stream, without secrets.

On a terminal lines are for people; elsewhere each line is one JSON object. They go to standard error, because standard
output is for the result of a command.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any
from urllib.parse import unquote_plus

import structlog

MASK = "***"
# The id of a key is kept: it says which key was used, and grants nothing.
_API_KEY = re.compile(r"\b(jt_[A-Za-z0-9]+_)[A-Za-z0-9_-]+")
# Headers in any notation: `Authorization: Bearer x`, {"authorization": "x"}, (b'authorization', b'Bearer x').
_AUTHORIZATION = re.compile(
    r"""((?:proxy-)?authorization[\\"']*\s*[:=,]\s*(?:b?[\\"']+)?(?:(?:bearer|basic|token|apikey)\s+)?)[^\s\\"',)}\]]+""",
    re.IGNORECASE,
)
# A password may hold a colon, and one that was not quoted as it should be even an @, a slash or a question mark. Its
# length is bounded, because each address in a line is looked through for the last @.
_DSN_PASSWORD = re.compile(r"""(\b[a-z][a-z0-9+.-]*://[^\s:/"'\\]*:)[^\s"'\\]{1,1024}(@)""", re.IGNORECASE)
# Whatever stands before them belongs to the name: sslpassword, POSTGRES_PASSWORD.
_NAMES = ("password", "passwd", "api_key", "apikey", "bootstrap_key", "secret", "lease_token")
_NAME = rf"""(?:{"|".join(_NAMES)})[\\"']*\s*[:=]\s*(?:b(?=[\\"']))?"""
_NAMED = re.compile(rf"""({_NAME}[\\"']*)[^\s\\"',&)}}\]]+""", re.IGNORECASE)
# In a query only & and what ends the address end a value.
_PARAMETER = re.compile(rf"""([?&][\w.%-]*(?:{"|".join(_NAMES)})=)[^\s&\\"']+""", re.IGNORECASE)
# Between quotes a value may hold spaces and commas, and the quote itself behind a backslash.
_QUOTED = re.compile(
    rf"""({_NAME})(?:(')(?:[^'"\\]|\\.)+(?=')|(")(?:[^"\\]|\\.)+(?=")|(\\+")[^"\\]+(?=\\))""", re.IGNORECASE
)
_OF_LINES = frozenset({"event", "exception", "stack"})
# An address that stands alone: scheme, user, password, and the rest.
_DSN = re.compile(r"([^:]*://)(?:([^:]*:)?(.*)@)?(.*)", re.DOTALL)
_NO_PORT = re.compile(r"(?:\[[^\]]*\]|[^/?#\[])*?:(?!\d*(?:[,/?#]|$))")
_DSN_PARAMETER = re.compile(r"([?&])([^?&=]*)(=?)([^&]*)")
# Libraries that log every start, stop or request, which is logged elsewhere already.
_QUIET = dict.fromkeys(("alembic.runtime.plugins", "httpx", "uvicorn.access", "uvicorn.error"), logging.WARNING)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with the given secrets masked, and every secret that can be recognized by its form."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    text = _QUOTED.sub(rf"\1\2\3\4{MASK}", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    # After the named ones: an @ in `?password=` would pass for the end of the one before the host.
    text = _DSN_PASSWORD.sub(rf"\1{MASK}\2", text)
    return _API_KEY.sub(rf"\1{MASK}", text)


def scrub_dsn(dsn: str) -> str:
    """Return the address of a database with its passwords masked, however they are written.

    The whole text is the address here, so that no space, quote or slash in a password ends it.
    """
    found = _DSN.fullmatch(dsn)
    if found is None:
        return MASK
    scheme, user, password, place = found.groups()
    if password is None:
        if _NO_PORT.match(place):
            # A host was forgotten: what stands where a port would is a password.
            return f"{scheme}{MASK}"
        return scrub(f"{scheme}{_DSN_PARAMETER.sub(_masked_parameter, place)}")
    if "?" in (user or "") + password:
        # It may be the password's, and then the @ is, or the query's, and then the @ may end a password there.
        return f"{scheme}{MASK}"
    place = _DSN_PARAMETER.sub(_masked_parameter, place)
    return scrub(f"{scheme}{user}{MASK}@{place}" if user else f"{scheme}{password}@{place}")


def _masked_parameter(found: re.Match[str]) -> str:
    mark, name, equals, value = found.groups()
    # A piece without a name is the rest of a value that holds an & of its own.
    if not equals:
        return f"{mark}{MASK}"
    return f"{mark}{name}={MASK if _is_secret(unquote_plus(name)) else value}"


def _is_secret(name: str) -> bool:
    return any(secret in name.lower() for secret in (*_NAMES, "authorization"))


def _without_named(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask secrets before colour codes separate a name from its value, and escape what would move the cursor."""
    del logger, method
    for key, value in event.items():
        if _is_secret(key):
            event[key] = MASK
        elif isinstance(value, str):
            text = scrub(value)
            event[key] = text if key in _OF_LINES or text.isprintable() else repr(text)
    return event


def configure(*, secrets: Iterable[str] = (), level: int = logging.INFO, as_json: bool | None = None) -> None:
    """Configure logging for this process; `secrets` are masked wherever they appear, whatever their form."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    given = [secret for secret in secrets if secret]
    # As they are, and as JSON writes them.
    hidden = tuple(dict.fromkeys([*given, *(json.dumps(secret)[1:-1] for secret in given)]))
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


@contextlib.contextmanager
def hushed(*names: str) -> Iterator[None]:
    """Keep what these loggers say at info from a terminal, inside the block or the function.

    For what the service itself does at its start, above the lines that somebody waits for. A log that is kept, or one
    at debug, has it.
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    if sys.stderr.isatty() and not logging.getLogger().isEnabledFor(logging.DEBUG):
        for logger in loggers:
            logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
