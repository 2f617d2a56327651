"""The jobs of an earlier claim, for its repeat: those that are still held under the tokens that it handed out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db import tables
from app.db.claim_candidates import CANDIDATE
from app.db.claims import CLAIMED, DOCUMENTS, Claimed
from app.db.connection import Connection
from app.db.jobs import JOB, LEASE_LEFT, RUN
from app.db.lookups import lookup, state_among
from app.db.parameters import Values
from app.db.projection import LEFT_OUT, Projection
from app.db.sizes import ANY_SIZE, fitting
from app.db.statement import Statement
from app.db.transitions import MOVED
from app.domain.job import Documents
from app.domain.states import LEASED


@dataclass(frozen=True, slots=True)
class HeldClaim:
    """A job of an earlier claim, and the token that the claim handed out with it."""

    project_id: UUID
    job_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class _StillHeld:
    claims: Sequence[HeldClaim]
    max_size: int


_HELD: Final = f"""
    SELECT o.project_id, o.id, o.row_size, l.payload, c.checkpoint,
           row_number() OVER (ORDER BY o.priority DESC, o.scheduled_at, o.id) AS n
    FROM (
        SELECT {CANDIDATE} FROM :claims
        CROSS JOIN {lookup("jobs", "j", project_id="claims.project_id", id="claims.job_id")}
        WHERE j.token = claims.token AND {state_among(LEASED)}
    ) o {DOCUMENTS}
"""
STILL_HELD = Statement(
    f"""
    WITH taken AS MATERIALIZED ({fitting(_HELD, "n", "payload", "checkpoint")})
    SELECT :returned FROM taken o CROSS JOIN {lookup("jobs", "j", project_id="o.project_id", id="o.id")}
    LEFT JOIN {RUN} ON true
    ORDER BY o.n
    """,
    Values(_StillHeld),
    CLAIMED.but(
        moved=MOVED.but(source="j.state"),
        lease_seconds=LEASE_LEFT,
        checkpoint=tables.checkpoints.alias("o").c.checkpoint,
        job=JOB.but(
            documents=Projection(
                Documents,
                columns={
                    "payload": tables.payloads.alias("o").c.payload,
                    **dict.fromkeys(("result", "billing", "size"), LEFT_OUT),
                },
            )
        ),
        size="o.size",
        found="o.found",
    ),
)


async def select_still_held(
    connection: Connection, claims: Sequence[HeldClaim], *, max_size: int = ANY_SIZE
) -> list[Claimed]:
    """Read the jobs of an earlier claim that are still held under the tokens that it handed out, no more than
    `max_size` bytes but for the first.
    """
    return await connection.fetch(STILL_HELD, _StillHeld(claims, max_size))
