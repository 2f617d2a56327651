"""Bodies that are streamed to where they belong instead of being held: limited, and given up when they stall."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.core.access import key_ended
from app.domain.errors import MalformedError, SlowBodyError, TooLargeError, UnsupportedMediaTypeError
from app.domain.held import TRANSFER
from app.web.holding import check_room, hold, release

SILENCE_SECONDS: Final = 30.0
"""A hundred MiB over a slow line may take its time; a client that sends nothing for this long is gone."""
UPLOAD_SECONDS: Final = 3_600.0
"""All in all. What nobody has claimed is pruned after six hours, so an upload must be over long before."""
INFLATED_BYTES: Final = 256 * 1024
"""How much one step of inflating gives at most: what a bomb can make us hold, and how long the loop stands still."""
_GZIP: Final = 16 + zlib.MAX_WBITS


def limited_stream(
    request: Request, max_bytes: int, *, gzip: bool = False, silence_seconds: float = SILENCE_SECONDS
) -> AsyncIterator[bytes]:
    """Return the chunks of the body, with `gzip` inflated if it is compressed; `max_bytes` bounds both sizes. Iterating
    raises if the body is too long, malformed or stalls, or if the client disconnects; other encodings are rejected.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    sent = _received(request, max_bytes, silence_seconds)
    if coding in {"", "identity"}:
        return sent
    if gzip and coding in {"gzip", "x-gzip"}:
        return inflated(sent, max_bytes)
    allowed = "as it is, or compressed with gzip" if gzip else "without a Content-Encoding"
    raise UnsupportedMediaTypeError(f"Send the body {allowed}.")


async def _received(request: Request, max_bytes: int, silence_seconds: float) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > max_bytes):
        raise TooLargeError(f"The body is longer than {max_bytes} bytes.")
    size, more = 0, True
    ends_at = asyncio.get_running_loop().time() + UPLOAD_SECONDS
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    check_room(request, TRANSFER)
    held = hold(request, lambda: ended.set_result(None), TRANSFER)
    try:
        while more:
            message = await _next_message(request, ended, silence_seconds)
            if held.ended:
                raise key_ended()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            if asyncio.get_running_loop().time() > ends_at:
                raise SlowBodyError(f"The body did not arrive within {UPLOAD_SECONDS:g} seconds.")
            piece = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(piece)
            if size > max_bytes:
                raise TooLargeError(f"The body is longer than {max_bytes} bytes.")
            if piece:
                yield piece
    finally:
        release(request, held)


async def _next_message(request: Request, ended: "asyncio.Future[None]", silence_seconds: float) -> Message:
    """Receive the next message of a body; a disconnect once the key has ended."""
    receiving = asyncio.ensure_future(request.receive())
    try:
        both: set[asyncio.Future[Any]] = {receiving, ended}
        await asyncio.wait(both, timeout=silence_seconds, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            return receiving.result()
        if ended.done():
            return {"type": "http.disconnect"}
        raise SlowBodyError(f"Nothing of the body came for {silence_seconds:g} seconds.")
    finally:
        receiving.cancel()


async def inflated(pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Inflate a gzip stream in bounded steps; raises if it is none, ends early, or grows beyond `max_bytes`."""
    size, member = 0, zlib.decompressobj(_GZIP)
    async for piece in pieces:
        left = piece
        while left or not member.eof:
            if member.eof:
                # Several members in a row are one gzip file.
                member = zlib.decompressobj(_GZIP)
            try:
                data = member.decompress(left, INFLATED_BYTES)
            except zlib.error:
                raise MalformedError("The body is not gzip, though its Content-Encoding says so.") from None
            left = member.unused_data if member.eof else member.unconsumed_tail
            if not data and not left:
                break
            size += len(data)
            if size > max_bytes:
                raise TooLargeError(f"The body inflates to more than {max_bytes} bytes.")
            if data:
                yield data
            # A bomb is inflated in many steps that need nothing from outside: others must have their turn.
            await asyncio.sleep(0)
    if not member.eof:
        raise MalformedError("The gzip stream stops before its end.")
