"""Waits that end with their client."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def while_connected(request: Request, awaitable: Coroutine[Any, Any, T]) -> T:
    """Await something for as long as the client is there; its leaving cancels the wait and raises ClientDisconnect.

    A server tells of a client that left only to those who ask: nothing else would end a long wait for nobody.
    """
    work = asyncio.create_task(awaitable)
    gone = asyncio.create_task(client_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        await put_down(work, gone)


async def client_gone(request: Request) -> None:
    """Return when the client has left. Only after the body was read: this takes its messages."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def put_down(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are really over, so that nothing outlives the request."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
