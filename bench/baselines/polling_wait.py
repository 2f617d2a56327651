"""The same wait as most teams would write it: a loop in the request that asks the database once a second.

`GET /polls` says how many statements it has sent.
"""

import asyncio
import sys
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.baselines.serving import serve

POLL_SECONDS = 1.0
ENDED = {"completed", "completed_with_failures", "failed", "cancelled", "expired"}
QUERY = text("SELECT state, version FROM jobs WHERE id = :id AND project_id = (SELECT id FROM projects LIMIT 1)")

engine = create_async_engine(sys.argv[1].replace("postgresql://", "postgresql+asyncpg://"), pool_size=10)
app = FastAPI()
polls = 0


@app.get("/wait/{job_id}")
async def wait(job_id: UUID) -> dict[str, Any]:
    global polls  # noqa: PLW0603 - a counter of a program of one page
    while True:
        polls += 1
        async with engine.connect() as connection:
            row = (await connection.execute(QUERY, {"id": job_id})).one()
        if row.state in ENDED:
            return {"id": str(job_id), "status": row.state, "version": row.version}
        await asyncio.sleep(POLL_SECONDS)


@app.get("/polls")
async def count() -> dict[str, int]:
    return {"polls": polls}


if __name__ == "__main__":
    serve(app)
