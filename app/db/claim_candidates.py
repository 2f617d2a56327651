"""Which jobs a claim may take, most urgent first, as SQL text that the statements of `claims` are made of.

Waiting jobs stand in lanes: those of one queue, or, for a claim by type, those of one type in one queue. A lane is a
stretch of an index. A claim that names no queue hops from lane to lane along that index: it passes by what is idle,
however many names there are, and by the backlog of other types.
"""

from dataclasses import dataclass
from typing import Final

from app.db.lookups import lookup, state_among
from app.db.pauses import OPEN
from app.db.sizes import JOB_ROW_SIZE
from app.db.statement import literals
from app.domain.states import CLAIMABLE

_DUE = """
    j.scheduled_at <= statement_timestamp() AND (j.expires_at IS NULL OR j.expires_at > statement_timestamp())
"""
_URGENCY = "j.priority DESC, j.scheduled_at, j.id"
WAITING = f"{state_among(CLAIMABLE)} AND NOT j.copying AND {_DUE}"
CANDIDATE = f"j.project_id, j.id, j.state, j.priority, j.scheduled_at, j.queue, {JOB_ROW_SIZE} AS row_size"


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lanes of one kind, named by the columns with which their index continues after the project."""

    columns: tuple[str, ...]
    waiting: str
    """The condition of the index."""

    def walk(self, select: str, lane: str, *, where: str = "true", limit: str, lock: str = "") -> str:
        """Write the right side of a join: waiting jobs of a lane, the most urgent first."""
        of_lane = " AND ".join(f"j.{column} = {lane}.{column}" for column in ("project_id", *self.columns))
        return f"""LATERAL (
            SELECT {select} FROM jobs j WHERE {of_lane} AND {self.waiting} AND {_DUE} AND {where}
            ORDER BY {_URGENCY} LIMIT {limit} {lock}
        )"""

    def busy(self, name: str, start: str) -> str:
        """Write the recursive CTE of the lanes that hold jobs, due or not: one look at the index for each.

        `start` is a query of the projects to look in, each with its type where the lanes are of one.
        """
        *outer, _ = self.columns
        known = ", ".join(f"p.{column}" for column in ("project_id", *outer))
        return f"""{name} (project_id, {", ".join(self.columns)}) AS (
            SELECT {known}, n.queue FROM ({start}) p CROSS JOIN {self._next("p", ">=", "''")} n
            UNION ALL
            SELECT {known}, n.queue FROM {name} p CROSS JOIN {self._next("p", ">", "p.queue")} n
        )"""

    def _next(self, lane: str, behind: str, queue: str) -> str:
        """Write the right side of a join: the next lane. All of the index's columns are in the order, so that no other
        index has it.
        """
        *outer, _ = self.columns
        row = ", ".join(f"j.{column}" for column in self.columns)
        after = ", ".join([*(f"{lane}.{column}" for column in outer), queue])
        until = " AND ".join(["true", *(f"j.{column} <= {lane}.{column}" for column in outer)])
        return f"""LATERAL (
            SELECT j.queue FROM jobs j
            WHERE j.project_id = {lane}.project_id AND ({row}) {behind} ({after}) AND {until} AND {self.waiting}
            ORDER BY {row}, {_URGENCY} LIMIT 1
        )"""


ANY_TYPE: Final = Lanes(("queue",), f"j.engine IS NULL AND NOT j.copying AND j.state IN ({literals(CLAIMABLE)})")
# The state is hidden in the condition of this index too. Were it not, `jobs_waiting` and `jobs_live` would seem to
# serve as well while there are no statistics (measured: a claim read all 20,000 jobs of other types, five times over).
OF_A_TYPE: Final = Lanes(("type", "queue"), f"j.engine IS NULL AND NOT j.copying AND {state_among(CLAIMABLE)}")


def _candidates(lanes: Lanes, start: str, named: str) -> str:
    """Write the query of what a claim takes: sorted first, then locked one by one, so that it locks what it takes.

    The most urgent of all lanes stand in as many lanes as they are, those with the most urgent heads, and the lane in
    place n has no more of them than are left after n heads. Twice as many as are to be taken are read, for another
    claimer may hold the first half. Where all of these are held, what is free in any lane makes up the number: a claim
    comes back empty only if everything is held.
    """
    urgency = "c.priority DESC, c.scheduled_at, c.id"
    return f"""
        WITH RECURSIVE {lanes.busy("busy", f"{start} WHERE :queues IS NULL")},
        heads AS MATERIALIZED (
            SELECT l.*, s.free, row_number() OVER (ORDER BY {urgency}) AS place
            FROM (SELECT * FROM busy UNION ALL {named}) l
            LEFT JOIN {lookup("queues", "q", project_id="l.project_id", name="l.queue")} ON true
            LEFT JOIN free s ON s.name = l.queue
            CROSS JOIN {lanes.walk("j.priority, j.scheduled_at, j.id", "l", limit="1")} c
            WHERE {OPEN} AND (q.concurrency_limit IS NULL OR s.free > 0)
            ORDER BY place
        ),
        best AS MATERIALIZED (
            SELECT c.id FROM heads h CROSS JOIN {
        lanes.walk("j.id, j.priority, j.scheduled_at", "h", limit="greatest(0, least(2 * :max + 1 - h.place, h.free))")
    } c
            WHERE h.place <= 2 * :max ORDER BY {urgency} LIMIT 2 * :max
        )
        SELECT * FROM (
            SELECT c.* FROM best b CROSS JOIN LATERAL (
                SELECT {CANDIDATE} FROM jobs j
                WHERE j.project_id = :project_id AND j.id = b.id AND {WAITING} FOR NO KEY UPDATE SKIP LOCKED
            ) c
            UNION ALL
            SELECT c.* FROM heads h CROSS JOIN {
        lanes.walk(
            CANDIDATE,
            "h",
            where="j.id NOT IN (SELECT b.id FROM best b)",
            limit=":max",
            lock="FOR NO KEY UPDATE SKIP LOCKED",
        )
    } c
            -- Of a queue with a limit no more are locked than have a place; this claim holds the lock on its row.
            WHERE h.free IS NULL
        ) c LIMIT :max
    """


BY_QUEUE = _candidates(
    ANY_TYPE,
    "SELECT :project_id AS project_id",
    "SELECT DISTINCT :project_id, n.queue FROM unnest(:queues) AS n (queue)",
)
BY_TYPE = _candidates(
    OF_A_TYPE,
    "SELECT DISTINCT :project_id AS project_id, t.type FROM unnest(:types) AS t (type)",
    "SELECT DISTINCT :project_id, t.type, n.queue FROM unnest(:types) AS t (type), unnest(:queues) AS n (queue)",
)

_FITTING = f"""
    {WAITING} AND (:types IS NULL OR j.type = ANY (:types)) AND (:queues IS NULL OR j.queue = ANY (:queues))
"""
# Only this way are the jobs of an engine handed out. Sorted first and then locked one by one, so that no more are
# locked than are taken: another claim that names the same jobs gets the rest.
BY_ID = f"""
    SELECT c.* FROM (
        SELECT j.id FROM (SELECT DISTINCT requested.id FROM unnest(:job_ids) AS requested (id)) requested
        CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="requested.id")}
        WHERE {_FITTING} ORDER BY {_URGENCY}
    ) f CROSS JOIN LATERAL (
        SELECT {CANDIDATE} FROM jobs j WHERE j.project_id = :project_id AND j.id = f.id AND {_FITTING}
        FOR NO KEY UPDATE SKIP LOCKED
    ) c
    LIMIT :max
"""
