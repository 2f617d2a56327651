"""Reaching an event loop from another thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


def call_in(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object) -> None:
    """Call the function in the loop's thread, soon; not at all if the loop has been closed.

    A handler in a thread may outlive the loop. It must not fail because there is nobody left to hear from it.
    """
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)
