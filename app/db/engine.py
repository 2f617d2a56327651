"""The database as the rest of the service uses it: short transactions, shielded from the request that asked for them.

A request may be cancelled at any moment, a transaction may not: cancelling one in flight throws its connection away,
and a burst of impatient clients would become a burst of new connections (measured: 341 for 491 cancelled requests, 10
when shielded). So each unit of work runs in a task of its own, bounded by `app/db/deadlines.py` and joined at shutdown.
"""

import asyncio
import contextlib
import copy
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from app.db import deadlines
from app.db.connection import Connection
from app.db.failures import (
    CONNECTION_ERRORS,
    UNCONFIRMED,
    driver_error,
    is_lost,
    is_silence,
    is_unavailable,
    may_repeat,
    unavailable,
)
from app.db.opening import asyncpg_dsn, connect_options, open_connection
from app.db.self_committing import commit_at_once
from app.db.statement import Statement
from app.domain.errors import NoSpaceError, UnansweredError, UnavailableError

POOL_TIMEOUT_SECONDS = 3.0
WRITE_TRIES = 4

T = TypeVar("T")
P = ParamSpec("P")
Work: TypeAlias = Callable[[Connection], Awaitable[T]]


def make_engine(url: str, *, pool_size: int, prepared: bool = False) -> AsyncEngine:
    """Build the pool. No connection is opened yet."""
    dsn, options = asyncpg_dsn(url), connect_options(prepared=prepared)
    return create_async_engine(
        "postgresql+asyncpg://",
        connect_args={"async_creator_fn": lambda: open_connection(dsn, options)},
        # The units of work below begin and end their transactions themselves.
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        # The few that are used most have their statements prepared and their caches warm. And a retry gets back the
        # connection that was just replaced, and not the next dead one.
        pool_use_lifo=True,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        hide_parameters=True,
    )


class _Silence:
    """When a connection was last found silent; shared by all views of a database."""

    noticed_at = float("-inf")


class Database:
    """Runs units of work: `read` outside a transaction, `write` in exactly one, `write_at_once` one statement that is
    its own.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        on_statement: Callable[[Statement[Any, Any]], None] = lambda _: None,
        on_no_space: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """`on_statement` is called for every statement that is sent, except BEGIN and COMMIT; `on_no_space` with the
        error of one that the database refused because its disk is full.
        """
        self.engine = engine
        self.on_statement = on_statement
        self._on_no_space = on_no_space
        self._unit_seconds = deadlines.UNIT_SECONDS
        self._units: dict[asyncio.Task[Any], float] = {}
        """When each began; never, for those of maintenance."""
        self._silence = _Silence()

    def connections_in_use(self) -> int:
        """Return how many connections units of work hold."""
        return cast("QueuePool", self.engine.pool).checkedout()

    def connections_allowed(self) -> int:
        """Return how many connections there may be."""
        return cast("QueuePool", self.engine.pool).size()

    def for_maintenance(self) -> "Database":
        """Return the same database for work that nobody waits for and that may take longer."""
        other = copy.copy(self)
        other._unit_seconds = deadlines.MAINTENANCE_SECONDS  # noqa: SLF001
        return other

    def oldest_unit_seconds(self) -> float:
        """Return how long the oldest unit of work has been in flight, without those of maintenance."""
        now = asyncio.get_running_loop().time()
        return max((now - began for began in self._units.values() if began <= now), default=0.0)

    async def read(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run statements that change nothing; each sees what is committed when it starts."""
        return await self._shielded(
            self._repeat(lambda connection: function(connection, *args, **kwargs), self._read_once)
        )

    async def write(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run statements in one transaction. `function` may run again if the first try certainly changed nothing."""
        return await self._shielded(
            self._repeat(lambda connection: function(connection, *args, **kwargs), self._write_once)
        )

    async def write_at_once(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run exactly one statement, which commits itself: no BEGIN, no COMMIT. It is not sent again, unless the first
        one certainly changed nothing.
        """
        return await self._shielded(
            self._repeat(
                lambda connection: function(connection, *args, **kwargs),
                lambda work: commit_at_once(self.connection(), work),
            )
        )

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection without a transaction. What the driver raises in the block is not translated."""
        connection = await self._check_out()
        core = connection.core
        try:
            yield connection
        except (asyncpg.PostgresError, asyncio.CancelledError, *CONNECTION_ERRORS) as error:
            if is_silence(error):
                # Not closed politely, which would wait for the server once more.
                connection.driver.terminate()
                self._silence.noticed_at = asyncio.get_running_loop().time()
            if is_lost(error):
                await core.invalidate()
            raise
        finally:
            await core.close()

    async def _check_out(self) -> Connection:
        """Take a connection from the pool, but none that is older than the last silence: it may be as dead."""
        while True:
            try:
                core = await self.engine.connect()
            except DBAPIError as error:
                raise driver_error(error) from None
            connection = Connection(core, self.on_statement)
            if connection.opened_at > self._silence.noticed_at:
                return connection
            connection.driver.terminate()
            await core.invalidate()
            await core.close()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Borrow a connection for the length of one transaction, which is rolled back if the block raises."""
        async with self.connection() as connection, connection.driver.transaction():
            yield connection

    async def _read_once(self, work: Work[T]) -> T:
        async with self.connection() as connection:
            return await work(connection)

    async def _write_once(self, work: Work[T]) -> T:
        committing = False
        try:
            async with self.connection() as connection:
                transaction = connection.driver.transaction()
                await transaction.start()
                try:
                    result = await work(connection)
                except BaseException as error:
                    if not is_silence(error) and not connection.driver.is_closed():
                        await transaction.rollback()
                    raise
                committing = True
                await transaction.commit()
                for callback in connection.committed:
                    callback()
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            if committing:
                # The answer to COMMIT was lost, so it may have happened. Only the caller knows whether to try again.
                raise UnavailableError(UNCONFIRMED) from error
            raise
        except asyncio.CancelledError as error:
            if committing:
                raise UnansweredError(UNCONFIRMED) from error
            raise
        return result

    async def _repeat(self, work: Work[T], once: Callable[[Work[T]], Awaitable[T]]) -> T:
        for tries_left in reversed(range(WRITE_TRIES)):
            try:
                return await once(work)
            except (asyncpg.PostgresError, PoolTimeoutError, *CONNECTION_ERRORS) as error:
                if not is_unavailable(error):
                    raise
                if tries_left == 0 or not may_repeat(error):
                    refusal = unavailable(error)
                    if isinstance(refusal, NoSpaceError):
                        self._on_no_space(error)
                    raise refusal from error
            await asyncio.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    async def _shielded(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(self._bounded(work))
        now = asyncio.get_running_loop().time()
        self._units[task] = now if self._unit_seconds <= deadlines.UNIT_SECONDS else float("inf")
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def _bounded(self, work: Awaitable[T]) -> T:
        """Cancel a unit at its deadline: nobody waits longer for a database that does not answer."""
        try:
            async with asyncio.timeout(self._unit_seconds):
                return await work
        except TimeoutError as error:
            raise UnansweredError("The database did not answer in time.") from error

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._units.pop(task, None)
        if not task.cancelled():
            # Retrieved here, so that an error without a caller is not reported as never retrieved.
            task.exception()

    async def close(self) -> None:
        """Wait for the units of work in progress, then close the pool."""
        while self._units:  # A unit may begin another one when it ends: the release of a claim.
            await asyncio.gather(*self._units, return_exceptions=True)
        await self.engine.dispose()
