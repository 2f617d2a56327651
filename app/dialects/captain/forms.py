"""Multipart uploads: stored unparsed, after a check that they are complete."""

import re
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request

from app.domain.errors import MalformedError, UnsupportedMediaTypeError

_BOUNDARY: Final = re.compile(
    r'multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)
_FIRST_PART: Final = re.compile(rb"[ \t]*\r?\n[!#-'*+.0-9A-Z^-z|~-]{1,60}:")
"""What follows the opening boundary: a line's end, and the name of a header."""
_MOST_FIRST: Final = 80
MAX_EPILOGUE: Final = 1024
"""The most bytes accepted after the closing boundary. RFC 2046 allows any text there; clients send at most a line
feed."""


def form_boundary(request: Request) -> bytes:
    """Return the boundary of a multipart form; raise if the request is not one."""
    match = _BOUNDARY.match(request.headers.get("content-type", ""))
    if match is None:
        raise UnsupportedMediaTypeError("Send the file as `multipart/form-data` with a boundary.")
    return (match.group(1) or match.group(2)).encode()


async def whole_form(pieces: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[bytes]:
    """Yield the pieces of a form unchanged; raise at its end if the opening or the closing boundary is missing, or the
    form has no part.
    """
    first, last = b"--" + boundary, b"--" + boundary + b"--"
    head, tail = b"", b""
    async for piece in pieces:
        if len(head) < len(first) + _MOST_FIRST:
            head += piece[: len(first) + _MOST_FIRST - len(head)]
        tail = (tail + piece)[-len(last) - MAX_EPILOGUE :]
        yield piece
    head = head.removeprefix(b"\r\n")
    if not head.startswith(first):
        raise MalformedError("The form does not begin with its boundary.")
    if last not in tail:
        raise MalformedError("The form stops before its end.")
    if not _FIRST_PART.match(head, len(first)):
        raise MalformedError("The form has no part with a header, as a file has.")
