"""The errors of a job's items, counted by code."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.connection import Connection
from app.db.item_pages import window_of
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import Statement
from app.domain.item import ItemErrors, ItemStatus
from app.domain.job import JobRef


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting:
    project_id: UUID
    job_id: UUID
    window: int
    limit: int


@dataclass(frozen=True, slots=True)
class _Group:
    """The items of one code, with totals of all that were counted. Without any there is one row with none."""

    counted: int
    codes: int
    errors: ItemErrors | None


_ERRORS: Final = Projection(
    ItemErrors,
    columns={
        "error_code": "f.error_code",
        "count": "g.count",
        "first_key": "f.key",
        "message": "coalesce(f.error_message, f.message)",
    },
    absent_without="error_code",
)

# Bounded by the items that have an error: those are found by their index, in the order in which they were reported.
BY_CODE = Statement(
    f"""
    WITH w AS MATERIALIZED (
        SELECT t.position, t.key, t.error_code, t.error_message, t.message
        FROM {window_of("0", "t.error_code IS NOT NULL")} AND t.status = '{ItemStatus.FAILED}'
    ), g AS (
        SELECT w.error_code, count(*) AS count, min(w.position) AS position FROM w GROUP BY w.error_code
    ), most AS (
        SELECT * FROM g ORDER BY g.count DESC, g.position LIMIT :limit
    )
    SELECT :returned FROM (SELECT coalesce(sum(g.count), 0) AS counted, count(*) AS codes FROM g) e
    LEFT JOIN (most g JOIN w f ON f.position = g.position) ON true
    ORDER BY g.count DESC, g.position
    """,
    Values(_Counting),
    Projection(
        _Group,
        columns={"counted": "CAST(e.counted AS bigint)", "codes": "e.codes", "errors": _ERRORS},
    ),
)


async def select_by_code(
    connection: Connection, ref: JobRef, *, window: int, limit: int
) -> tuple[tuple[ItemErrors, ...], int, int]:
    """Count the first `window` items that have an error and failed; returns the `limit` most frequent codes, how many
    items were counted, and how many codes they have.
    """
    counting = _Counting(project_id=ref.project_id, job_id=ref.job_id, window=window, limit=limit)
    rows = await connection.fetch(BY_CODE, counting)
    return tuple(row.errors for row in rows if row.errors is not None), rows[0].counted, rows[0].codes


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfCodes:
    project_id: UUID
    job_id: UUID
    window: int
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _CountedCodes:
    examined: int
    failed: int


WITH_CODES = Statement(
    f"""
    SELECT :returned FROM (
        SELECT count(*) AS examined,
               count(*) FILTER (WHERE t.error_code = ANY (:codes) AND t.status = '{ItemStatus.FAILED}') AS failed
        FROM {window_of("0", "t.error_code IS NOT NULL")}
    ) c
    """,
    Values(_OfCodes),
    Projection(_CountedCodes, "c"),
)


async def count_with_codes(
    connection: Connection, ref: JobRef, codes: frozenset[str], *, window: int
) -> tuple[int, int]:
    """Examine up to `window` items that have an error; returns how many there were, and how many of them failed with
    one of the codes.
    """
    counted = await connection.fetchone(
        WITH_CODES, _OfCodes(project_id=ref.project_id, job_id=ref.job_id, window=window, codes=codes)
    )
    return counted.examined, counted.failed
