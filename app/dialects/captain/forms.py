"""Forms with a file: passed on as they are, once it is sure that they came whole."""

import re
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request

from app.domain.errors import MalformedError, UnsupportedMediaTypeError

_BOUNDARY: Final = re.compile(
    r'multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)
MAX_EPILOGUE: Final = 1024
"""How much may follow a form's last line. RFC 2046 allows any text there; nobody sends more than a line feed."""


def form_boundary(request: Request) -> bytes:
    """Find what separates the parts of the form; raises if the body is none."""
    found = _BOUNDARY.match(request.headers.get("content-type", ""))
    if found is None:
        raise UnsupportedMediaTypeError("Send the file as `multipart/form-data` with a boundary.")
    return (found.group(1) or found.group(2)).encode()


async def whole_form(pieces: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[bytes]:
    """Pass a form on; raises at its end if its last line did not come, or it did not begin as one."""
    first, last = b"--" + boundary, b"--" + boundary + b"--"
    head, tail = b"", b""
    async for piece in pieces:
        if len(head) < len(first):
            head += piece[: len(first) + 2 - len(head)]
        tail = (tail + piece)[-len(last) - MAX_EPILOGUE :]
        yield piece
    if not head.removeprefix(b"\r\n").startswith(first[: len(head)]) or not head:
        raise MalformedError("The form does not begin with its boundary.")
    if last not in tail:
        raise MalformedError("The form stops before its end.")
