"""Mending stored jobs: a walk over all of them, once, in steps and by whichever process has time for the next one.

Versions before this one stored the last second of the year 9999 as the deadline of jobs that have none, ended ones
among them, and `infinity` where a client sent the last moment there is. No index leads to those rows, and one on the
largest table, for something to be done once, would cost every job to come a little. So the walk goes along the primary
key, and `repairs` remembers how far it has come: when the row is gone, nothing is left to look for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.db.connection import Connection, Statement
from app.db.jobs import KEYS
from app.db.lookups import target_by_key
from app.db.times import END
from app.domain.job import JobKey

BEGUN: Final = "SELECT FROM repairs w WHERE w.begins_at <= statement_timestamp()"


@dataclass(frozen=True, slots=True)
class Repair:
    """A walk that is under way, and the last job that it has seen."""

    name: str
    after: JobKey


# One process at a time takes the next step, and nobody waits for it.
NEXT = Statement("""
    SELECT w.name, w.project_id, w.job_id FROM repairs w WHERE w.begins_at <= statement_timestamp()
    ORDER BY w.begins_at, w.name LIMIT 1 FOR UPDATE SKIP LOCKED
""")


async def select_next(connection: Connection) -> Repair | None:
    """Lock the walk to go on with; None if there is none, or another process is at it."""
    row = await connection.fetchrow(NEXT)
    return None if row is None else Repair(row.name, (row.project_id, row.job_id))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step has looked at: the jobs whose deadline stands for none, and the last job; None at the end."""

    endless: list[JobKey]
    last: JobKey | None


JOBS = Statement(f"""
    SELECT j.project_id, j.id, j.expires_at >= {END} AS endless FROM jobs j
    WHERE (j.project_id, j.id) > (CAST(:project_id AS uuid), CAST(:job_id AS uuid))
    ORDER BY j.project_id, j.id LIMIT :limit
""")


async def select_jobs(connection: Connection, repair: Repair, limit: int) -> Seen:
    """Look at the next jobs."""
    project_id, job_id = repair.after
    rows = await connection.fetch(JOBS, {"project_id": project_id, "job_id": job_id, "limit": limit})
    keys = [(row.project_id, row.id) for row in rows]
    return Seen([key for key, row in zip(keys, rows, strict=True) if row.endless], keys[-1] if keys else None)


# A new version, so that no cache goes on showing the old one; nothing happened to the job, so that it was not updated.
MEND = Statement(f"""
    UPDATE jobs j SET expires_at = NULL, version = j.version + 1 FROM {KEYS}
    WHERE {target_by_key("j", project_id="i.project_id", id="i.job_id")} AND j.expires_at >= {END}
    RETURNING j.project_id, j.id
""")


async def mend_deadlines(connection: Connection, keys: Sequence[JobKey]) -> list[JobKey]:
    """Take away the deadlines of these jobs that stand for none; gives the jobs, which the caller has locked."""
    rows = await connection.fetch(MEND, {"project_ids": [p for p, _ in keys], "job_ids": [j for _, j in keys]})
    return [(row.project_id, row.id) for row in rows]


ADVANCE = Statement("UPDATE repairs SET project_id = :project_id, job_id = :job_id WHERE name = :name")


async def advance(connection: Connection, repair: Repair, last: JobKey) -> None:
    """Remember how far a walk has come."""
    await connection.execute(ADVANCE, {"name": repair.name, "project_id": last[0], "job_id": last[1]})


FINISH = Statement("DELETE FROM repairs WHERE name = :name")


async def finish(connection: Connection, repair: Repair) -> None:
    """Remember that a walk has seen every job."""
    await connection.execute(FINISH, {"name": repair.name})
