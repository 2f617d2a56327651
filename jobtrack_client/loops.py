"""Reaching an event loop from another thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobtrack_client.stop import JobCancelled

T = TypeVar("T")


def call_in(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object) -> None:
    """Call the function in the loop's thread, soon; not at all if the loop has been closed.

    A handler in a thread may outlive the loop. It must not fail because there is nobody left to hear from it.
    """
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)


class WorkerLoop:
    """The event loop of the worker, as a handler in a thread awaits something in it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def result(self, call: Callable[[], Awaitable[T]], instead: str) -> T:
        """Await the call in the loop and return its result. Raises `RuntimeError` in the loop's own thread, which would
        wait for itself; `instead` is what to write there.
        """
        if threading.get_ident() == self._thread:
            raise RuntimeError(f"This would block the event loop for ever: use `{instead}`")
        if self._loop.is_closed():
            raise JobCancelled("The worker has ended")

        async def awaited() -> T:
            return await call()

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()
