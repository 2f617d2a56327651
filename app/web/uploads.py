"""Bodies that are streamed to where they belong instead of being held: limited, and given up when they stall."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.domain.errors import SlowBodyError, TooLargeError, UnsupportedMediaTypeError

SILENCE_SECONDS: Final = 30.0
"""A hundred MiB over a slow line may take its time; a client that sends nothing for this long is gone."""


async def limited_stream(
    request: Request, max_bytes: int, *, silence_seconds: float = SILENCE_SECONDS
) -> AsyncIterator[bytes]:
    """Give the body piece by piece; raises if it is compressed, too long or stalls, or if its sender leaves."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaTypeError("Send the body without a Content-Encoding.")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > max_bytes):
        raise TooLargeError(f"The body is longer than {max_bytes} bytes.")
    size, more = 0, True
    while more:
        try:
            message = await asyncio.wait_for(request.receive(), silence_seconds)
        except TimeoutError:
            raise SlowBodyError(f"Nothing of the body came for {silence_seconds:g} seconds.") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size > max_bytes:
            raise TooLargeError(f"The body is longer than {max_bytes} bytes.")
        if piece:
            yield piece
