"""Bodies: read within a limit and a deadline, parsed strictly, walked once.

The framework's own reading comes before its dependencies, has no deadline, and parses with a parser that takes NaN and
UTF-16. What PostgreSQL cannot store (NUL, half a surrogate pair) is refused here, so that no route
and no statement has to think of it.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from fastapi import Request
from pydantic_core import from_json

from app.domain.errors import InvalidError, MalformedError, SlowBodyError, TooLargeError, UnsupportedMediaTypeError
from app.domain.field_error import FieldError

MIB = 1024 * 1024
IS_WHOLE: Final = "body_is_whole"
"""Where our server notes, in a request's state, that the body has come with its head."""


@dataclass(frozen=True, slots=True)
class BodyRules:
    """What a route takes. `check_text=False` leaves NUL to a route that judges each row of a batch alone."""

    max_bytes: int = MIB
    max_nodes: int = 50_000
    max_depth: int = 64
    max_key_bytes: int = 256
    seconds: float = 30.0
    """A client that needs longer for its body holds memory for nothing."""
    json_type_required: bool = True
    """Native routes insist on a JSON content type; some vendors' clients send none."""
    check_text: bool = True


TypedReader: TypeAlias = Callable[[bytes, BodyRules], Any | None]
"""Reads a body by its declared types, checked against the rules; None of one that is to be parsed and validated."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""Some editors and shells write one before UTF-8; RFC 8259 allows a parser to skip it."""

JSON_BODY = BodyRules()
BATCH_BODY = BodyRules(max_bytes=16 * MIB, max_nodes=500_000, check_text=False)


async def read_bytes(request: Request, rules: BodyRules) -> bytes:
    """Read the body without its byte order mark, refusing one that is compressed, too long or too slow."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaTypeError("Send the body without a Content-Encoding.")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > rules.max_bytes):
        raise _too_large(rules)
    try:
        # A timer costs 4 us, and nothing is waited for where the body is here: as most are.
        async with asyncio.timeout(rules.seconds) if IS_WHOLE not in request.scope.get("state", ()) else nullcontext():
            body = await _receive(request, rules)
    except TimeoutError:
        raise SlowBodyError(f"The body did not arrive within {rules.seconds:g} seconds.") from None
    return body.removeprefix(_BYTE_ORDER_MARK)


async def _receive(request: Request, rules: BodyRules) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > rules.max_bytes:
            raise _too_large(rules)
        chunks.append(chunk)
    return b"".join(chunks)


def forget_body(request: Request) -> None:
    """Release a body that was parsed into what the route needs of it."""
    request._body = b""  # noqa: SLF001
    request._json = None  # noqa: SLF001


def parse(body: bytes, rules: BodyRules) -> Any:
    """Parse JSON and check it against the rules."""
    try:
        value = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        # Grammatically JSON, and no text: the one case where the parser and RFC 8259 part ways.
        if "surrogate" in str(error) or "end of hex escape" in str(error):
            raise _bad_text("") from None
        raise MalformedError("The body is not JSON.") from None
    walk(value, rules)
    # An escape is the only way for a NUL into parsed text, so most bodies need no second look.
    if rules.check_text and b"\\u0000" in body:
        check_text(value)
    return value


def walk(value: Any, rules: BodyRules) -> None:
    """Check depth, size, keys and numbers, level by level: recursion would meet its own limit before ours."""
    level, depth, nodes = [value], 0, 0
    while level:
        depth += 1
        nodes += len(level)
        if nodes > rules.max_nodes:
            raise MalformedError(f"The body has more than {rules.max_nodes} values.")
        below: list[Any] = []
        containers = False
        for node in level:
            if isinstance(node, dict):
                containers = True
                # A character takes at most four bytes; short keys need no encoding to be measured.
                if any(4 * len(key) > rules.max_key_bytes and len(key.encode()) > rules.max_key_bytes for key in node):
                    raise InvalidError(f"A key is longer than {rules.max_key_bytes} bytes.")
                below.extend(node.values())
            elif isinstance(node, list):
                containers = True
                below.extend(node)
            elif isinstance(node, float) and not math.isfinite(node):
                raise MalformedError("A number is too large.")
        if containers and depth > rules.max_depth:
            raise MalformedError(f"The body is nested deeper than {rules.max_depth} levels.")
        level = below


def check_text(value: Any) -> None:
    """Refuse a NUL in any text or key, saying where: PostgreSQL stores none, and dropping it silently is worse."""
    pointer = _find(value, lambda text: "\x00" in text)
    if pointer is not None:
        raise _bad_text(pointer)


def _find(value: Any, bad: Callable[[str], bool]) -> str | None:
    """Return the JSON Pointer of the first text or key for which `bad` is true."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        pointer, node = pending.pop()
        if isinstance(node, str):
            if bad(node):
                return pointer
        elif isinstance(node, dict):
            if any(bad(key) for key in node):
                return pointer
            pending.extend((f"{pointer}/{pointer_token(key)}", child) for key, child in node.items())
        elif isinstance(node, list):
            pending.extend((f"{pointer}/{index}", child) for index, child in enumerate(node))
    return None


def pointer_token(key: str) -> str:
    """Write a key as one step of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def require_json_type(request: Request) -> None:
    """Reject a body whose Content-Type is not JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaTypeError("Send the body as `application/json`.")


def _too_large(rules: BodyRules) -> TooLargeError:
    return TooLargeError(f"The body is longer than {rules.max_bytes} bytes.")


def _bad_text(pointer: str) -> InvalidError:
    sentence = "Text may hold no NUL and no half of a surrogate pair."
    return InvalidError([FieldError(pointer, "invalid_text", sentence)])
