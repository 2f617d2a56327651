"""Calls that are held open under a key. When the key ends, so do they: with 401, or cut where the answer has begun."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastapi import Request

from app.domain.held import Holding
from app.web.deps import principal, services

if TYPE_CHECKING:
    from app.core.key_holds import Hold

ABORT: Final = "abort"
"""Where our server leaves, in a request's state, what drops its connection at once."""


def check_room(request: Request, holding: Holding) -> None:
    """Check that its key and this process may hold a request open, too; raises KeyLimitError or TooManyWaitsError.

    To be called before anything of it is held, and before the answer has begun.
    """
    services(request).holds.check_room(principal(request), holding)


def hold(request: Request, end: Callable[[], object], holding: Holding) -> "Hold":
    """Register a request that stays open; `end` is called when its key has ended. To be followed by `release`."""
    return services(request).holds.add(principal(request), end, holding)


def release(request: Request, held: "Hold") -> None:
    """Forget a request that stays open no longer."""
    services(request).holds.remove(held)


async def cut_off(request: Request) -> None:
    """Drop the connection of an answer that has begun, so that nobody takes what was sent for the whole of it.

    Reset, not closed: to a client of before HTTP/1.1 a closed connection is the proper end of a body, and what waits
    for a client that does not read must not be sent any more either.
    """
    abort: Callable[[], None] | None = request.scope["state"].get(ABORT)
    if abort is None:
        # Under another server: it closes the connection of an application that fails.
        raise ConnectionAbortedError("the key ended before the answer did")
    abort()
    # Until the server knows it, too: it would log an answer that stopped halfway as a fault.
    while (await request.receive())["type"] != "http.disconnect":
        pass
