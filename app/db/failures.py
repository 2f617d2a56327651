"""What an error of the database means: a lost connection, a database that is away, and whether to try again."""

import asyncio

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.domain.errors import BusyError, NoSpaceError, UnavailableError

UNCONFIRMED = "The database did not confirm the change; it may have been made."
READ_ONLY, ADMIN_SHUTDOWN, CRASH_SHUTDOWN, CANNOT_CONNECT_NOW = "25006", "57P01", "57P02", "57P03"
SERIALIZATION_FAILURE, DEADLOCK, LOCK_NOT_AVAILABLE, STATEMENT_TIMEOUT = "40001", "40P01", "55P03", "57014"
TOO_MANY_CONNECTIONS, DISK_FULL, OUT_OF_MEMORY = "53300", "53100", "53200"
# A pool that was filled while the server was read-only keeps failing for ever after it became writable again, unless
# these count as a lost connection (measured: `pool_pre_ping` does not help).
DISCONNECTS = frozenset({READ_ONLY, ADMIN_SHUTDOWN, CRASH_SHUTDOWN, CANNOT_CONNECT_NOW})
LOCK_TRIES = 2
REPEATABLE = DISCONNECTS | {SERIALIZATION_FAILURE, DEADLOCK, LOCK_NOT_AVAILABLE}
UNAVAILABLE = REPEATABLE | {STATEMENT_TIMEOUT, TOO_MANY_CONNECTIONS, DISK_FULL, OUT_OF_MEMORY}
CONNECTION_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    # What the driver raises when the server has closed the connection between two statements.
    asyncpg.InternalClientError,
)

OUTDATED = (asyncpg.InvalidCachedStatementError,)
"""A migration changed the tables of a prepared statement; the next try prepares it again."""


def driver_error(error: DBAPIError) -> BaseException:
    """Return the driver's error when it could not connect, which SQLAlchemy wraps twice."""
    return (error.orig and error.orig.__cause__) or ConnectionError(str(error.orig))


def is_lost(error: BaseException) -> bool:
    """Whether the connection cannot be used any more."""
    return not isinstance(error, asyncpg.PostgresError) or _sqlstate(error) in DISCONNECTS or _is_connection(error)


def may_have_committed(error: BaseException) -> bool:
    """Whether a statement that commits itself may be done, though this came in place of its answer.

    An error that the server reports has undone the statement, unless it is the server's last word on the connection. An
    argument that the driver could not encode was never sent.
    """
    if isinstance(error, asyncpg.PostgresError):
        return is_lost(error) and _sqlstate(error) != READ_ONLY
    return not isinstance(error, ValueError)


def is_silence(error: BaseException) -> bool:
    """Whether the connection did not answer in time, or its unit of work was cancelled at the deadline."""
    return isinstance(error, (TimeoutError, asyncio.CancelledError))


def _is_connection(error: BaseException) -> bool:
    return isinstance(error, CONNECTION_ERRORS)


def _sqlstate(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot serve just now, and the statement is not at fault."""
    if isinstance(error, asyncpg.PostgresError):
        return _is_connection(error) or may_repeat(error) or _sqlstate(error) in UNAVAILABLE
    return True


def unavailable(error: BaseException) -> UnavailableError:
    """Return what the callers of a unit of work are told of an error after which the database cannot serve."""
    if isinstance(error, PoolTimeoutError):
        return BusyError("All connections to the database are in use; nothing was changed.")
    if _sqlstate(error) == LOCK_NOT_AVAILABLE:
        return BusyError("Other calls hold what this one needs; nothing was changed.")
    if _sqlstate(error) == DISK_FULL:
        return NoSpaceError("The database's disk is full: nothing can be stored until there is space on it.")
    return UnavailableError("The database is not available just now.")


def may_repeat(error: BaseException, tries: int = 1) -> bool:
    """Whether another try may help after so many: not after a timeout, which would only double the load that caused it,
    and once after a wait for a lock, which holds a connection.
    """
    if isinstance(error, PoolTimeoutError):
        return False
    if _sqlstate(error) == LOCK_NOT_AVAILABLE:
        return tries < LOCK_TRIES
    if isinstance(error, asyncpg.PostgresError):
        return _is_connection(error) or isinstance(error, OUTDATED) or _sqlstate(error) in REPEATABLE
    return True
