"""Rows in any state, written directly: what the CHECKs and the code demand of such a row is filled in here."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert

from app.db import tables
from app.db.connection import Connection
from app.domain.ids import new_id
from app.domain.job import JobRef
from app.domain.states import LEASED, TERMINAL, JobState

HOUR = 3600.0
NOW = func.statement_timestamp()


@dataclass(frozen=True, slots=True)
class Made:
    """A job that a test put there."""

    project_id: UUID
    id: UUID
    token: UUID | None

    @property
    def key(self) -> JobRef:
        return JobRef(self.project_id, self.id)

    @property
    def held_by(self) -> UUID:
        """The token, where there is one."""
        assert self.token
        return self.token


def in_seconds(seconds: float) -> Any:
    """A moment of the database's clock."""
    return NOW + timedelta(seconds=seconds)


async def project(connection: Connection, name: str = "test") -> UUID:
    """A project of the test's own."""
    project_id = new_id()
    await connection.core.execute(tables.projects.insert().values(id=project_id, name=name, created_at=NOW))
    return project_id


async def queue(connection: Connection, project_id: UUID, name: str = "default", **columns: Any) -> None:
    """A queue, or nothing if it is there."""
    values = {"project_id": project_id, "name": name, "created_at": NOW, "updated_at": NOW} | columns
    await connection.core.execute(insert(tables.queues).values(values).on_conflict_do_nothing())


async def job(
    connection: Connection,
    project_id: UUID,
    *,
    state: JobState = JobState.PENDING,
    lease_left_seconds: float | None = 30.0,
    lease_seconds: int | None = 30,
    due_in_seconds: float = -1.0,
    spent: bool = False,
    items: int = 0,
    items_failed: int = 0,
    run: dict[str, Any] | None = None,
    **columns: Any,
) -> Made:
    """A job. One that is or was held has a token; a live one has a run if it was claimed, or where `run` names columns.

    A retrying job counts as one whose lease ran out, which keeps its token; `spent` makes it one whose attempt failed.
    """
    claimed = state is not JobState.PENDING
    token = uuid4() if claimed and not spent else None
    terminal = state in TERMINAL
    values: dict[str, Any] = {
        "project_id": project_id,
        "id": new_id(),
        "type": "work",
        "queue": "default",
        "state": state,
        "priority": 0,
        "attempt": int(claimed),
        "max_attempts": 3,
        "retry_delay_seconds": 1.0,
        "retry_factor": 2.0,
        "retry_max_delay_seconds": 600.0,
        "labels": {},
        "worker": "a worker" if claimed and not spent else None,
        "token": token,
        "version": 2 if claimed else 1,
        "progress": 0.0,
        "items_total": items,
        "items_processed": 0,
        "items_failed": items_failed if terminal else 0,
        "items_skipped": 0,
        "created_at": in_seconds(-HOUR),
        "updated_at": in_seconds(-HOUR),
        "status_changed_at": in_seconds(-HOUR),
        "scheduled_at": in_seconds(due_in_seconds),
        "started_at": in_seconds(-HOUR) if claimed else None,
        "completed_at": in_seconds(-HOUR) if terminal else None,
        "cancelled_at": in_seconds(-HOUR) if state in (JobState.CANCELLING, JobState.CANCELLED) else None,
        **columns,
    }
    await queue(connection, project_id, values["queue"])
    await connection.core.execute(tables.jobs.insert().values(values))
    made = Made(project_id, values["id"], values["token"])
    if (claimed or run) and not terminal:
        leased = state in LEASED and lease_left_seconds is not None
        row: dict[str, Any] = {
            "project_id": project_id,
            "job_id": made.id,
            "lease_seconds": lease_seconds,
            "lease_ends_at": in_seconds(lease_left_seconds or 0) if leased else None,
            "version": 0,
            "progress": 0.0,
            "items_count": items,
            "items_processed": 0,
            "items_failed": items_failed,
            "items_skipped": 0,
            "samples": [],
            "log_lines": 0,
            "updated_at": in_seconds(-HOUR),
            **(run or {}),
        }
        await connection.core.execute(tables.runs.insert().values(row))
    for position in range(1, items + 1):
        await connection.core.execute(
            tables.items.insert().values(
                project_id=project_id,
                job_id=made.id,
                position=position,
                key=f"file-{position}",
                status="failed" if position <= items_failed else "queued",
                updated_at=NOW,
            )
        )
    return made


async def event(connection: Connection, ref: JobRef, word: str, *, data: Any = None) -> None:
    """Write something into a job's history that no statement of the service does."""
    values = {"type": word, "at": func.statement_timestamp(), "attempt": 0, "to_state": "pending", "data": data}
    await connection.core.execute(tables.events.insert().values(project_id=ref.project_id, job_id=ref.job_id, **values))


async def row(connection: Connection, made: Made) -> Row[Any]:
    """The job's row, whole."""
    jobs = tables.jobs
    found = await connection.core.execute(
        select(jobs).where(jobs.c.project_id == made.project_id, jobs.c.id == made.id)
    )
    return found.one()


async def run_row(connection: Connection, made: Made) -> Row[Any] | None:
    """The row of the job's run, whole; None when it has none."""
    runs = tables.runs
    statement = select(runs).where(runs.c.project_id == made.project_id, runs.c.job_id == made.id)
    return (await connection.core.execute(statement)).one_or_none()


async def whole(connection: Connection, made: Made) -> tuple[Any, ...]:
    """Everything that is stored of a job, to say that nothing of it changed."""
    found: list[Any] = [await row(connection, made), await run_row(connection, made)]
    for table in (tables.payloads, tables.results, tables.checkpoints, tables.items, tables.events, tables.job_logs):
        statement = select(table).where(table.c.project_id == made.project_id, table.c.job_id == made.id)
        rows = await connection.core.execute(statement.order_by(*table.primary_key.columns))
        found.append(tuple(rows.all()))
    return tuple(found)
