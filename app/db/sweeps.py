"""Jobs that time has changed: leases that ran out, deadlines that passed, attempts that take longer than expected.

The look finds candidates alone; whether it is so is decided again by the fence of the transition, where the row is
locked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.db.connection import Connection
from app.db.lookups import target_by_key
from app.db.parameters import Values
from app.db.projection import Projection, Value
from app.db.statement import Statement, literals
from app.domain.job import JobRef
from app.domain.states import LEASED, LIVE, JobEvent

GRACE_SECONDS: Final = 30
"""The most that a lease is lengthened by after a gap: the default lease."""
LATE_SECONDS: Final = 3.0
"""Time without a look, of which there is one a second, after which it was we who were away, and not the workers."""
STORED_EVERY_SECONDS: Final = 1.75
"""However many processes look, the last look is stored every two seconds or so. A process that starts within them takes
a gap for up to two seconds longer than it was, which costs a lapsed lease nothing.
"""


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the leases, and the one before it. All by the database's clock."""

    now: datetime
    seen_at: datetime | None
    """The last look that is stored, of any process."""
    leased: bool
    """Whether any job is leased."""


@dataclass(frozen=True, slots=True)
class Due:
    """The jobs that are due, and when the next will be."""

    jobs: Mapping[JobEvent, list[JobRef]]
    overdue: list[JobRef]
    next_seconds: float | None
    """Until the next lease or deadline that is known of runs out; None if there is none."""
    look: Look


@dataclass(frozen=True, slots=True)
class _Looking:
    limit: int
    own_look: datetime | None


@dataclass(frozen=True, slots=True)
class _Lapsed:
    """A job and what has happened to it, None if it is overdue; or, once, how long it is until the next."""

    event: JobEvent | None
    job: JobRef | None
    seconds: float | None
    look: Look | None


# One statement for all: it is asked by every process, whether or not anything happens. The narrow table of runs is read
# whole: it is as long as the number of live jobs, and an index on the lease would cost each heartbeat its place on the
# page. A deadline at `infinity`, which older versions stored, is left out: PostgreSQL before 17 subtracts nothing from
# it, and the whole statement would fail.
#
# It stores that it has looked, now and then while anything is leased; but not after a gap, when the leases have to be
# lengthened first, nor where another process is writing it just now, whose look is as good.
LOOK = Statement(
    f"""
    WITH h AS MATERIALIZED (
        SELECT min(r.lease_ends_at) FILTER (WHERE r.lease_ends_at > statement_timestamp()) AS next_end,
               count(r.lease_ends_at) > 0 AS leased FROM runs r
    ),
    stored AS (
        UPDATE looks l SET seen_at = statement_timestamp() FROM (
            SELECT s.name FROM looks s CROSS JOIN h
            WHERE s.name = 'leases' AND h.leased
              AND s.seen_at <= statement_timestamp() - interval '{STORED_EVERY_SECONDS} seconds'
              AND greatest(s.seen_at, CAST(:own_look AS timestamptz))
                  >= statement_timestamp() - interval '{LATE_SECONDS} seconds'
            FOR UPDATE OF s SKIP LOCKED
        ) f WHERE l.name = f.name
    )
    SELECT :returned FROM (
    (SELECT r.project_id, r.job_id, '{JobEvent.LEASE_RAN_OUT}' AS event, CAST(NULL AS float8) AS seconds,
            CAST(NULL AS timestamptz) AS now, CAST(NULL AS timestamptz) AS seen_at, CAST(NULL AS boolean) AS leased
     FROM runs r
     WHERE r.lease_ends_at <= statement_timestamp() LIMIT :limit)
    UNION ALL
    (SELECT j.project_id, j.id, '{JobEvent.DEADLINE}', NULL, NULL, NULL, NULL FROM jobs j
     WHERE j.expires_at <= statement_timestamp() AND j.state IN ({literals(LIVE)})
     ORDER BY j.expires_at LIMIT :limit)
    UNION ALL
    (SELECT j.project_id, j.id, NULL, NULL, NULL, NULL, NULL FROM jobs j
     WHERE j.expected_end_at <= statement_timestamp() AND NOT j.overdue AND j.state IN ({literals(LEASED)})
     ORDER BY j.expected_end_at LIMIT :limit)
    UNION ALL
    SELECT NULL, NULL, NULL, CAST(extract(epoch FROM least(
        h.next_end,
        (SELECT j.expires_at FROM jobs j
         WHERE j.expires_at > statement_timestamp() AND j.expires_at < 'infinity' AND j.state IN ({literals(LIVE)})
         ORDER BY j.expires_at LIMIT 1)
    ) - statement_timestamp()) AS float8), statement_timestamp(),
    (SELECT l.seen_at FROM looks l WHERE l.name = 'leases'), h.leased
    FROM h
    ) d
    """,
    Values(_Looking),
    Projection(
        _Lapsed,
        "d",
        {
            "job": Projection(JobRef, "d", absent_without="job_id"),
            "look": Projection(Look, "d", absent_without="now"),
        },
    ),
)


async def look(connection: Connection, limit: int, own_look: datetime | None = None) -> Due:
    """Find up to `limit` jobs whose lease ran out, as many live ones whose deadline has passed, and as many whose
    attempt should have ended; store, if it is time, that somebody has looked.

    `own_look` is the last of this process, which is not stored while nothing is leased.
    """
    due: dict[JobEvent, list[JobRef]] = {JobEvent.LEASE_RAN_OUT: [], JobEvent.DEADLINE: []}
    overdue: list[JobRef] = []
    next_seconds, looked = None, None
    for lapsed in await connection.fetch(LOOK, _Looking(limit, own_look)):
        if lapsed.look is not None:
            next_seconds, looked = lapsed.seconds, lapsed.look
        elif lapsed.job is not None:
            (overdue if lapsed.event is None else due[lapsed.event]).append(lapsed.job)
    if looked is None:
        raise LookupError("the look itself was not among the rows")
    return Due(due, overdue, next_seconds, looked)


@dataclass(frozen=True, slots=True)
class _Gap:
    own_look: datetime | None
    late_seconds: float


_LENGTHENED: Final = f"statement_timestamp() + least(r.lease_seconds, {GRACE_SECONDS}) * interval '1 second'"
# The row of the look is locked first, so that of many processes that come back together one does it. What others lock
# is left out: a lease that its worker is renewing needs no grace.
GRANT_GRACE = Statement(
    f"""
    WITH last AS MATERIALIZED (
        SELECT l.name, l.seen_at FROM looks l WHERE l.name = 'leases' FOR UPDATE SKIP LOCKED
    ),
    gap AS MATERIALIZED (SELECT greatest(l.seen_at, CAST(:own_look AS timestamptz)) AS began FROM last l),
    held AS MATERIALIZED (
        SELECT r.project_id, r.job_id FROM gap g JOIN runs r
            ON r.lease_ends_at > g.began AND r.lease_ends_at < {_LENGTHENED}
        WHERE g.began < statement_timestamp() - :late_seconds * interval '1 second'
        ORDER BY r.project_id, r.job_id FOR UPDATE OF r SKIP LOCKED
    ),
    graced AS (
        UPDATE runs r SET lease_ends_at = greatest(r.lease_ends_at, {_LENGTHENED})
        FROM held h WHERE {target_by_key("r", project_id="h.project_id", job_id="h.job_id")}
        RETURNING r.job_id
    ),
    looked AS (
        UPDATE looks l SET seen_at = greatest(l.seen_at, statement_timestamp())
        FROM last f WHERE l.name = f.name RETURNING l.name
    )
    SELECT :returned FROM looked f
    """,
    Values(_Gap),
    Value(int, "(SELECT count(*) FROM graced)"),
)


async def grant_grace(
    connection: Connection, own_look: datetime | None, *, late_seconds: float = LATE_SECONDS
) -> int | None:
    """Lengthen the leases that ended in a gap since the last look, or end soon after it; returns how many.

    `own_look` is as for `look`. No gap is shorter than `late_seconds`. None if another process is at it.
    """
    return await connection.fetchrow(GRANT_GRACE, _Gap(own_look, late_seconds))
