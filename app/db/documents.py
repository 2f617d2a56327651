"""Payloads, results and billing of many jobs, as many as an answer may hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from uuid import UUID

from app.db.connection import Connection
from app.db.jobs import JOB, REQUESTED, RUN
from app.db.lookups import lookup
from app.db.parameters import Batch
from app.db.projection import Projection
from app.db.sizes import JOB_SIZE, size_of_json
from app.db.statement import Statement
from app.domain.job import Documents, Job


class DocumentRead(NamedTuple):
    """A job whose documents are read, for one answer, in its place."""

    answer: int
    place: int
    project_id: UUID
    job_id: UUID
    payload: bool
    result: bool
    billing: bool
    max_size: int
    """What the answer may hold."""


@dataclass(frozen=True, slots=True)
class _Read:
    answer: int
    place: int
    fits: bool
    job: Job


_NAMES: Final = ("payload", "result", "billing")
_SHOWN: Final = ", ".join(f"CASE WHEN i.{name} THEN d.{name} END AS {name}" for name in _NAMES)
_STORED: Final = " + ".join(f"coalesce(pg_column_size(a.{name}), 0)" for name in _NAMES)

# What is stored is compressed, and its size known without reading it. Only what could fit by that is unpacked to be
# measured; what does not fit is not sent. Each answer is measured for itself, so that many can share the statement.
SELECT = Statement(
    f"""
    SELECT :returned FROM (
        SELECT b.*, b.first OR sum(coalesce(b.size, b.max_size + 1)) OVER w <= b.max_size AS fits
        FROM (
            SELECT a.*, row_number() OVER w = 1 AS first,
                   CASE WHEN sum({_STORED}) OVER w <= a.max_size
                        THEN a.job_size + {" + ".join(size_of_json(f"a.{name}") for name in _NAMES)} END AS size
            FROM (
                SELECT i.answer, i.place, i.max_size, {JOB.select_list}, {JOB_SIZE} AS job_size, {_SHOWN}
                FROM {REQUESTED} LEFT JOIN {RUN} ON true
                LEFT JOIN LATERAL (
                    SELECT p.payload, s.result, s.billing FROM (VALUES (1)) v (n)
                    LEFT JOIN {lookup("payloads", "p", project_id="j.project_id", job_id="j.id")} ON true
                    LEFT JOIN {lookup("results", "s", project_id="j.project_id", job_id="j.id")} ON true
                ) d ON true
            ) a WINDOW w AS (PARTITION BY a.answer ORDER BY a.place)
        ) b WINDOW w AS (PARTITION BY b.answer ORDER BY b.place)
    ) b
    """,
    Batch(DocumentRead),
    Projection(
        _Read,
        "b",
        {
            "job": JOB.over("b").but(
                documents=Projection(
                    Documents,
                    columns={name: f"CASE WHEN b.fits THEN b.{name} END" for name in _NAMES}
                    | {"size": "coalesce(b.size, b.max_size)"},
                )
            )
        },
    ),
)


async def select(connection: Connection, reads: Sequence[DocumentRead]) -> dict[DocumentRead, Job]:
    """Read jobs with the requested documents: as many as fit into each answer, and the first in any case.

    What does not fit comes without documents; unknown jobs are left out.
    """
    by_place = {(read.answer, read.place): read for read in reads}
    return {
        by_place[row.answer, row.place]: row.job if row.fits else replace(row.job, documents=None)
        for row in await connection.fetch(SELECT, reads)
    }
