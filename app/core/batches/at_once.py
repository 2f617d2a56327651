"""What becomes of a group whose statement commits itself: it is done, it is refused, or a transaction has to judge."""

from collections.abc import Awaitable
from typing import TypeVar

import structlog

from app.domain.errors import UnavailableError

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def try_once(statement: Awaitable[T]) -> T | UnavailableError | None:
    """Wait for a statement; None if it failed and changed nothing: a transaction may then find out whose fault it is.

    A database that cannot be reached is no reason for another try. Nor is one that did not confirm the change: it may
    have been made.
    """
    try:
        return await statement
    except UnavailableError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the caller at fault gets it from the transaction, and only that one
        log.info("a group is applied in a transaction", error=repr(error))
        return None
