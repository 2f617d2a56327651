"""Which of the claims that wait for work would find some: one statement for all idle claims of a process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.db.claim_candidates import ANY_TYPE, OF_A_TYPE, WAITING, Lanes
from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.pauses import OPEN
from app.db.projection import Value
from app.db.statement import Statement
from app.domain.job import ClaimFilter


@dataclass(frozen=True, slots=True)
class _Filters:
    filters: Any


_ALL_QUEUES: Final = "w.job_ids IS NULL AND w.queues IS NULL"


def _has_claimable(lanes: Lanes, busy: str, fits: str, named: str) -> str:
    """Write whether there is a job for the filter `w`, in the lanes that it names or else in those that are busy."""
    return f"""EXISTS (
        SELECT FROM (
            SELECT b.* FROM {busy} b WHERE w.queues IS NULL AND b.project_id = w.project_id AND {fits}
            UNION ALL SELECT w.project_id, {named}
        ) l LEFT JOIN {lookup("queues", "q", project_id="l.project_id", name="l.queue")} ON true
        CROSS JOIN {lanes.walk("1", "l", limit="1")} c
        WHERE {OPEN}
    )"""


CLAIMABLE_FILTERS = Statement(
    f"""
    WITH RECURSIVE w AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:filters AS json))
               AS w (n integer, project_id uuid, queues json, types json, job_ids json)
    ), {ANY_TYPE.busy("busy", f"SELECT DISTINCT w.project_id FROM w WHERE {_ALL_QUEUES} AND w.types IS NULL")},
    {
        OF_A_TYPE.busy(
            "busy_types",
            f"SELECT DISTINCT w.project_id, t.type FROM w, json_array_elements_text(w.types) AS t (type) "
            f"WHERE {_ALL_QUEUES}",
        )
    }
    SELECT :returned FROM w
    WHERE w.job_ids IS NULL AND w.types IS NULL
          AND {_has_claimable(ANY_TYPE, "busy", "true", "n.queue FROM json_array_elements_text(w.queues) AS n (queue)")}
    OR w.job_ids IS NULL AND w.types IS NOT NULL AND {
        _has_claimable(
            OF_A_TYPE,
            "busy_types",
            "b.type IN (SELECT json_array_elements_text(w.types))",
            "t.type, n.queue FROM json_array_elements_text(w.types) AS t (type), "
            "json_array_elements_text(w.queues) AS n (queue)",
        )
    }
    OR EXISTS (
        SELECT FROM json_array_elements_text(w.job_ids) AS requested (id)
        CROSS JOIN {lookup("jobs", "j", project_id="w.project_id", id="CAST(requested.id AS uuid)")}
        WHERE {WAITING} AND (w.queues IS NULL OR j.queue IN (SELECT json_array_elements_text(w.queues)))
          AND (w.types IS NULL OR j.type IN (SELECT json_array_elements_text(w.types)))
    )
    """,
    Values(_Filters),
    Value(int, "w.n"),
)


async def select_claimable(connection: Connection, filters: Sequence[ClaimFilter]) -> list[ClaimFilter]:
    """Return the filters that some waiting job matches."""
    described = [
        {
            "n": n,
            "project_id": str(claim_filter.project_id),
            "queues": claim_filter.queues,
            "types": claim_filter.types,
            "job_ids": None if claim_filter.job_ids is None else [str(job_id) for job_id in claim_filter.job_ids],
        }
        for n, claim_filter in enumerate(filters)
    ]
    return [filters[n] for n in await connection.fetch(CLAIMABLE_FILTERS, _Filters(described))]
