"""What the clock has done to jobs without anybody saying so: leases that ran out and deadlines that passed.

These only find candidates; whether it is so is decided again by the fence of the transition, where the row is locked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.db.connection import Connection, Statement
from app.db.tables import literals
from app.domain.job import JobKey
from app.domain.states import LIVE, JobEvent


@dataclass(frozen=True, slots=True)
class Due:
    """What has lapsed, and when the next will."""

    jobs: Mapping[JobEvent, list[JobKey]]
    next_seconds: float | None
    """Until the next lease or deadline that is known of runs out; None if there is none."""


# One statement for all: it is asked by every process, whether or not anything happens. The narrow table of runs is read
# whole: it is as long as the number of live jobs, and an index on the lease would cost each heartbeat its place on the
# page. A deadline at `infinity`, which older versions stored, is left out: PostgreSQL before 17 subtracts nothing from
# it, and the whole statement would fail.
SELECT_DUE = Statement(f"""
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
""")


async def select_due(connection: Connection, limit: int) -> Due:
    """Find up to `limit` jobs whose lease ran out, and as many live ones whose deadline has passed."""
    due: dict[JobEvent, list[JobKey]] = {JobEvent.LEASE_RAN_OUT: [], JobEvent.DEADLINE: []}
    next_seconds = None
    for row in await connection.fetch(SELECT_DUE, {"limit": limit}):
        if row.event is None:
            next_seconds = row.seconds
        else:
            due[JobEvent(row.event)].append((row.project_id, row.job_id))
    return Due(due, next_seconds)
