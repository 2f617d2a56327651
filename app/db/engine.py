"""The database as the rest of the service uses it: short transactions, shielded from the request that asked for them.

A request may be cancelled at any moment, a transaction may not: cancelling one in flight throws its connection away,
and a burst of impatient clients would become a burst of new connections (measured: 341 for 491 cancelled requests, 10
when shielded). So each unit of work runs in a task of its own, bounded by `statement_timeout` and joined at shutdown.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from app.db.connection import Connection
from app.db.failures import CONNECTION_ERRORS, driver_error, is_lost, is_unavailable, may_repeat, unavailable
from app.db.statement import Statement
from app.domain.errors import NoSpaceError, UnavailableError

POOL_TIMEOUT_SECONDS = 3.0
WRITE_TRIES = 4
STATEMENTS_KEPT = 300
"""Larger than the number of distinct statements."""
STATEMENT_SECONDS = 3
"""How long a plan is kept. One made while a table of running jobs or of items was empty joins in the wrong order, or
reads the whole table, once it has filled.
"""
SESSION_SETTINGS = {
    "application_name": "jobtrack",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "15000",
    "timezone": "UTC",
    # The hot statements are short: compiling one costs more than it can save.
    "jit": "off",
    # Each statement has an index for what it reads. A table of one page is cheaper to read whole, but the plan is still
    # used when it has grown. A table without an index is read whole all the same: `runs` by the sweep.
    "enable_seqscan": "off",
}

CONNECTION_SETTINGS = ("application_name", "timezone")
"""Those that a pooler passes on; the others are stored with the role (`sessions`)."""
PREPARED_SETTINGS = {
    # Plans for a few rows, along the indexes: those that the tests check. A plan for a statement's thousand rows, on a
    # table without statistics yet, compared each row with each (measured: 9 s for 20,000 items instead of 0.5).
    "plan_cache_mode": "force_generic_plan",
}
"""For a direct connection: a pooler refuses a setting that its configuration does not name."""

T = TypeVar("T")
P = ParamSpec("P")
Work: TypeAlias = Callable[[Connection], Awaitable[T]]


def asyncpg_dsn(url: str) -> str:
    """Turn any usual spelling of a PostgreSQL URL into the one that asyncpg reads (multi-host and sslmode included)."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgres") else url


def connect_options(*, prepared: bool = False) -> dict[str, Any]:
    """Return the options that every connection of this service is opened with.

    Prepared statements are off by default because they return wrong rows behind a transaction-mode PgBouncer. When
    enabled, single-row statements are 3 to 10 times faster, since they are not planned again.
    """
    return {
        "statement_cache_size": STATEMENTS_KEPT if prepared else 0,
        "max_cached_statement_lifetime": STATEMENT_SECONDS,
        "server_settings": SESSION_SETTINGS | (PREPARED_SETTINGS if prepared else {}),
        "timeout": 5,
    }


async def connect(dsn: str, options: dict[str, Any] | None = None) -> Any:
    """Open a connection with these options; without the settings that a pooler refuses, for the role has them there.

    The options are changed then, so that their next connection is not refused first.
    """
    options = connect_options() if options is None else options
    try:
        return await asyncpg.connect(dsn, **options)
    except asyncpg.ProtocolViolationError as error:
        if "startup parameter" not in str(error):
            raise
    options["server_settings"] = {name: SESSION_SETTINGS[name] for name in CONNECTION_SETTINGS}
    return await asyncpg.connect(dsn, **options)


def make_engine(url: str, *, pool_size: int, prepared: bool = False) -> AsyncEngine:
    """Build the pool. No connection is opened yet."""
    dsn, options = asyncpg_dsn(url), connect_options(prepared=prepared)
    return create_async_engine(
        "postgresql+asyncpg://",
        connect_args={"async_creator_fn": lambda: connect(dsn, options)},
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


class Database:
    """Runs units of work: `read` outside a transaction, `write` in exactly one."""

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
        self._units: set[asyncio.Task[Any]] = set()

    def connections_in_use(self) -> int:
        """Return how many connections units of work hold."""
        return cast("QueuePool", self.engine.pool).checkedout()

    def connections_allowed(self) -> int:
        """Return how many connections there may be."""
        return cast("QueuePool", self.engine.pool).size()

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

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection without a transaction. What the driver raises in the block is not translated."""
        try:
            core = await self.engine.connect()
        except DBAPIError as error:
            raise driver_error(error) from None
        try:
            yield Connection(core, self.on_statement)
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            if is_lost(error):
                await core.invalidate()
            raise
        finally:
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
                except BaseException:
                    if not connection.driver.is_closed():
                        await transaction.rollback()
                    raise
                committing = True
                await transaction.commit()
                for callback in connection.committed:
                    callback()
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            if committing:
                # The answer to COMMIT was lost, so it may have happened. Only the caller knows whether to try again.
                raise UnavailableError("The database did not confirm the change; it may have been made.") from error
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
        task = asyncio.ensure_future(work)
        self._units.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._units.discard(task)
        if not task.cancelled():
            # Retrieved here, so that an error without a caller is not reported as never retrieved.
            task.exception()

    async def close(self) -> None:
        """Wait for the units of work in progress, then close the pool."""
        while self._units:  # A unit may begin another one when it ends: the release of a claim.
            await asyncio.gather(*self._units, return_exceptions=True)
        await self.engine.dispose()
