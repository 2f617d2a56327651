"""A unit of work that is one statement, which commits itself: neither BEGIN nor COMMIT, so no two round trips for them.

Measured on one row: they cost the service 45 µs and the database 36, as much as the statement between them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import asyncpg

from app.db.connection import Connection
from app.db.failures import UNCONFIRMED, is_silence, may_have_committed
from app.domain.errors import UnansweredError, UnavailableError

T = TypeVar("T")


async def commit_at_once(
    borrowing: AbstractAsyncContextManager[Connection], work: Callable[[Connection], Awaitable[T]]
) -> T:
    """Run work that sends one statement. UnavailableError or UnansweredError once it was sent and is not known to have
    failed, as after a COMMIT whose answer was lost: only the caller knows whether to try again.
    """
    connection: Connection | None = None
    try:
        async with borrowing as connection:
            if connection.driver.is_closed():
                # Noticed before anything is sent, so that another connection may be tried.
                raise asyncpg.InterfaceError("the connection was closed while it lay in the pool")  # noqa: TRY301
            result = await work(connection)
            for callback in connection.committed:
                callback()
    except (Exception, asyncio.CancelledError) as error:
        if connection is not None and connection.sent and may_have_committed(error):
            raise (UnansweredError if is_silence(error) else UnavailableError)(UNCONFIRMED) from error
        raise
    return result
