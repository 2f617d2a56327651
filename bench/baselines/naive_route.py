"""The same read as most teams would write it: a FastAPI route, a response model, one SQLAlchemy query per request.

It is given every advantage that costs no thought: keys are kept in memory by their digest, the query is one join by
primary keys, and the driver keeps prepared statements. It is pinned: what the service becomes changes nothing here.
"""

import contextlib
import hashlib
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.baselines.serving import serve

QUERY = text("""
    SELECT j.*, coalesce(r.stage, j.stage) AS shown_stage, coalesce(r.progress, j.progress) AS shown_progress,
           coalesce(r.items_processed, j.items_processed) AS processed, coalesce(r.message, j.message) AS shown_message,
           j.version + coalesce(r.version, 0) AS shown_version, p.payload, s.result, s.billing
    FROM jobs j
    LEFT JOIN runs r ON r.project_id = j.project_id AND r.job_id = j.id
    LEFT JOIN payloads p ON p.project_id = j.project_id AND p.job_id = j.id
    LEFT JOIN results s ON s.project_id = j.project_id AND s.job_id = j.id
    WHERE j.project_id = :project_id AND j.id = :id
""")

engine = create_async_engine(sys.argv[1].replace("postgresql://", "postgresql+asyncpg://"), pool_size=10)
projects: dict[bytes, UUID] = {}


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.connect() as connection:
        for row in await connection.execute(text("SELECT digest, project_id FROM keys")):
            projects[row.digest] = row.project_id
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


class Counts(BaseModel):
    total: int
    processed: int
    failed: int
    skipped: int


class Job(BaseModel):
    id: UUID
    type: str
    queue: str
    engine: str | None
    collection: str | None
    status: str
    stage: str | None
    progress: float
    counts: Counts
    message: str | None
    eta: dict[str, float] | None
    error: dict[str, str] | None
    labels: dict[str, str]
    priority: int
    attempt: int
    max_attempts: int
    expected_seconds: int | None
    overdue: bool
    original_job_id: UUID | None
    worker: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    status_changed_at: datetime
    scheduled_at: datetime
    expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancelled_by: str | None
    payload: Any
    result: Any
    billing: Any


async def project_of(authorization: Annotated[str, Header()] = "") -> UUID:
    found = projects.get(hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest())
    if found is None:
        raise HTTPException(401)
    return found


@app.get("/v1/jobs/{job_id}")
async def get_job(job_id: UUID, project_id: Annotated[UUID, Depends(project_of)]) -> Job:
    async with engine.connect() as connection:
        found = await connection.execute(QUERY, {"project_id": project_id, "id": job_id})
        row = found.mappings().one_or_none()
    if row is None:
        raise HTTPException(404)
    shown = {"stage": row["shown_stage"], "progress": row["shown_progress"], "message": row["shown_message"]}
    counts = Counts(
        total=row["items_total"],
        processed=row["processed"],
        failed=row["items_failed"],
        skipped=row["items_skipped"],
    )
    error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
    return Job.model_validate(
        {**row, **shown, "status": row["state"], "counts": counts, "eta": None, "error": error}
        | {"version": row["shown_version"]}
    )


if __name__ == "__main__":
    serve(app)
