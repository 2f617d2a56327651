"""The database as the rest of the service uses it: short transactions, shielded from the request that asked for them.

A request may be cancelled at any moment, a transaction may not: cancelling one in flight throws its connection away,
and a burst of impatient clients would become a burst of new connections (measured: 341 for 491 cancelled requests, 10
when shielded). So each unit of work runs in a task of its own, bounded by `app/db/deadlines.py` and joined at shutdown.
"""

import asyncio
import contextlib
import copy
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast
from uuid import UUID

import asyncpg
from pydantic_core import from_json
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from app.db import deadlines
from app.db.commits import commit_at_once, commit_together
from app.db.connection import Connection
from app.db.failures import (
    CONNECTION_ERRORS,
    driver_error,
    is_lost,
    is_silence,
    is_unavailable,
    may_repeat,
    unavailable,
)
from app.db.opening import asyncpg_dsn, connect_options, open_connection
from app.db.shares import GATHERED, Share, Shares
from app.db.statement import Statement
from app.db.units import Units
from app.domain.errors import BusyError, NoSpaceError

POOL_TIMEOUT_SECONDS = 3.0
WRITE_TRIES = 4

T = TypeVar("T")
P = ParamSpec("P")
Work: TypeAlias = Callable[[Connection], Awaitable[T]]
Waited: TypeAlias = Callable[[], None]
Once: TypeAlias = Callable[[Work[T], Waited | None], Awaitable[T]]


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
        json_deserializer=_decoded,
    )


def _decoded(text: str) -> Any:
    """Decode JSON as the standard library does, in a seventh of the time."""
    try:
        return from_json(text)
    except ValueError:
        # It goes less deep, and knows no half of a surrogate pair, which older versions may have stored.
        return json.loads(text)


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
        on_wait: Callable[[str, bool, float], None] = lambda _, __, ___: None,
    ) -> None:
        """`on_statement` is called for every statement that is sent, except BEGIN and COMMIT; `on_no_space` with the
        error of one that the database refused because its disk is full; `on_wait` when a unit has its connection or
        has given up, with the kind of work, whether it came within its project's share, and how long it waited.
        """
        self.engine = engine
        self.on_statement = on_statement
        self._on_no_space = on_no_space
        self._on_wait = on_wait
        self._shares = Shares(self.connections_allowed())
        self._share = GATHERED
        self._unit_seconds = deadlines.UNIT_SECONDS
        self._units = Units()
        self._silence = deadlines.Silence()

    def connections_in_use(self) -> int:
        """Return how many connections units of work hold."""
        return cast("QueuePool", self.engine.pool).checkedout()

    def connections_allowed(self) -> int:
        """Return how many connections there may be."""
        return cast("QueuePool", self.engine.pool).size()

    def for_maintenance(self) -> "Database":
        """Return the same database for work that nobody waits for and that may take longer."""
        other = self.slow(None)
        other._unit_seconds = deadlines.MAINTENANCE_SECONDS  # noqa: SLF001
        return other

    def slow(self, project_id: UUID | None) -> "Database":
        """Return the same database for what one request of a project does alone; None is the service itself."""
        return self._within(self._shares.slow(project_id))

    def short(self, project_id: UUID) -> "Database":
        """Return the same database for a project's claims and the keys of its batches, beside its slow units."""
        return self._within(self._shares.short(project_id))

    def _within(self, share: Share) -> "Database":
        other = copy.copy(self)
        other._share = share  # noqa: SLF001
        return other

    def oldest_unit_seconds(self) -> float:
        """Return how long the oldest unit of work has been in flight, without those of maintenance."""
        return self._units.oldest_seconds()

    async def read(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run statements that change nothing; each sees what is committed when it starts."""
        return await self._shielded(lambda connection: function(connection, *args, **kwargs), self._read_once)

    async def write(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run statements in one transaction. `function` may run again if the first try certainly changed nothing."""
        return await self._shielded(lambda connection: function(connection, *args, **kwargs), self._write_once)

    async def write_at_once(
        self, function: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run exactly one statement, which commits itself: no BEGIN, no COMMIT. It is not sent again, unless the first
        one certainly changed nothing.
        """
        return await self._shielded(lambda connection: function(connection, *args, **kwargs), self._write_statement)

    @contextlib.asynccontextmanager
    async def connection(self, waited: Waited | None = None) -> AsyncIterator[Connection]:
        """Borrow a connection without a transaction. What the driver raises in the block is not translated.

        `waited` is called when there is one, or none to be had.
        """
        try:
            connection = await self._check_out()
        finally:
            if waited is not None:
                waited()
        core = connection.core
        try:
            yield connection
        except (asyncpg.PostgresError, asyncio.CancelledError, *CONNECTION_ERRORS) as error:
            if is_silence(error):
                # Not closed politely, which would wait for the server once more.
                connection.driver.terminate()
                self._silence.note(error, connection.sent_at)
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

    async def _read_once(self, work: Work[T], waited: Waited | None) -> T:
        async with self.connection(waited) as connection:
            return await work(connection)

    async def _write_once(self, work: Work[T], waited: Waited | None) -> T:
        return await commit_together(self.connection(waited), work)

    async def _write_statement(self, work: Work[T], waited: Waited | None) -> T:
        return await commit_at_once(self.connection(waited), work)

    async def _repeat(self, work: Work[T], once: Once[T], waited: Waited | None) -> T:
        for tries_left in reversed(range(WRITE_TRIES)):
            try:
                return await once(work, waited)
            except (asyncpg.PostgresError, PoolTimeoutError, *CONNECTION_ERRORS) as error:
                if not is_unavailable(error):
                    raise
                if tries_left == 0 or not may_repeat(error, WRITE_TRIES - tries_left):
                    refusal = unavailable(error)
                    if isinstance(refusal, NoSpaceError):
                        self._on_no_space(error)
                    raise refusal from error
            await asyncio.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - jitter, not a secret
            waited = None  # Counted already.
        raise AssertionError("unreachable")

    async def _shielded(self, work: Work[T], once: Once[T]) -> T:
        began, within, share = asyncio.get_running_loop().time(), self._share.is_within(), self._share

        def waited() -> None:
            self._on_wait(share.work, within, asyncio.get_running_loop().time() - began)

        try:
            await share.enter(self._unit_seconds * deadlines.PART_FOR_A_PLACE)
        except BusyError:
            waited()
            raise
        return await self._units.run(
            self._repeat(work, once, waited),
            deadline=began + self._unit_seconds,
            ended=share.leave,
            is_awaited=self._unit_seconds <= deadlines.UNIT_SECONDS,
        )

    async def close(self) -> None:
        """Wait for the units of work in progress, then close the pool."""
        await self._units.join()
        await self.engine.dispose()
