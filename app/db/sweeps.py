"""Jobs that time has changed: leases that ran out and deadlines that passed.

These only find candidates; whether it is so is decided again by the fence of the transition, where the row is locked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.db.connection import Connection
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import Statement, literals
from app.domain.job import JobRef
from app.domain.states import LIVE, JobEvent


@dataclass(frozen=True, slots=True)
class Due:
    """The jobs that are due, and when the next will be."""

    jobs: Mapping[JobEvent, list[JobRef]]
    next_seconds: float | None
    """Until the next lease or deadline that is known of runs out; None if there is none."""


@dataclass(frozen=True, slots=True)
class _AtMost:
    limit: int


@dataclass(frozen=True, slots=True)
class _Lapsed:
    """A job and what has happened to it; or, once, how long it is until the next."""

    event: JobEvent | None
    job: JobRef | None
    seconds: float | None


# One statement for all: it is asked by every process, whether or not anything happens. The narrow table of runs is read
# whole: it is as long as the number of live jobs, and an index on the lease would cost each heartbeat its place on the
# page. A deadline at `infinity`, which older versions stored, is left out: PostgreSQL before 17 subtracts nothing from
# it, and the whole statement would fail.
SELECT_DUE = Statement(
    f"""
    SELECT :returned FROM (
    (SELECT r.project_id, r.job_id, '{JobEvent.LEASE_RAN_OUT}' AS event, CAST(NULL AS float8) AS seconds FROM runs r
     WHERE r.lease_ends_at <= statement_timestamp() LIMIT :limit)
    UNION ALL
    (SELECT j.project_id, j.id, '{JobEvent.DEADLINE}', NULL FROM jobs j
     WHERE j.expires_at <= statement_timestamp() AND j.state IN ({literals(LIVE)})
     ORDER BY j.expires_at LIMIT :limit)
    UNION ALL
    SELECT NULL, NULL, NULL, CAST(extract(epoch FROM least(
        (SELECT min(r.lease_ends_at) FROM runs r WHERE r.lease_ends_at > statement_timestamp()),
        (SELECT j.expires_at FROM jobs j
         WHERE j.expires_at > statement_timestamp() AND j.expires_at < 'infinity' AND j.state IN ({literals(LIVE)})
         ORDER BY j.expires_at LIMIT 1)
    ) - statement_timestamp()) AS float8)
    ) d
    """,
    Values(_AtMost),
    Projection(_Lapsed, "d", {"job": Projection(JobRef, "d", absent_without="job_id")}),
)


async def select_due(connection: Connection, limit: int) -> Due:
    """Find up to `limit` jobs whose lease ran out, and as many live ones whose deadline has passed."""
    due: dict[JobEvent, list[JobRef]] = {JobEvent.LEASE_RAN_OUT: [], JobEvent.DEADLINE: []}
    next_seconds = None
    for lapsed in await connection.fetch(SELECT_DUE, _AtMost(limit)):
        if lapsed.event is None or lapsed.job is None:
            next_seconds = lapsed.seconds
        else:
            due[lapsed.event].append(lapsed.job)
    return Due(due, next_seconds)
