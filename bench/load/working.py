"""Workers over HTTP: they claim jobs, report on them and complete them, as fast as they are answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.load.connection import Connection, Request, connect_many
from bench.load.generator import Channel, GeneratorError

JOBS_A_CLAIM = 100
_LEASE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Worked:
    """What the workers did."""

    jobs: int
    seconds: float


async def work(
    channel: Channel | None, port: int, queue: str, *, workers: int, seconds: float, batched: bool
) -> Worked:
    """Work for a time, or until a worker finds nothing more."""
    del channel
    connections = await connect_many(port, workers)
    turn: Callable[[Connection, str, str], Awaitable[int]] = _batch if batched else _one
    began = time.monotonic()

    async def worker(number: int, connection: Connection) -> int:
        done = 0
        while time.monotonic() < began + seconds:
            finished = await turn(connection, f"worker-{number}", queue)
            if not finished:
                break
            done += finished
        return done

    done = await asyncio.gather(*(worker(number, connection) for number, connection in enumerate(connections)))
    took = time.monotonic() - began
    for connection in connections:
        connection.close()
    return Worked(sum(done), took)


async def _one(connection: Connection, worker: str, queue: str) -> int:
    jobs = await _claim(connection, worker, queue, 1)
    for job_id, token in jobs:
        report = {"token": token, "stage": "embedding", "progress": 50}
        await _post(connection, f"/v1/jobs/{job_id}/report", report)
        await _post(connection, f"/v1/jobs/{job_id}/complete", {"token": token, "result": {"pages": 12}})
    return len(jobs)


async def _batch(connection: Connection, worker: str, queue: str) -> int:
    jobs = await _claim(connection, worker, queue, JOBS_A_CLAIM)
    if jobs:
        for action, said in (
            ("report", {"stage": "embedding", "progress": 50}),
            ("complete", {"result": {"pages": 12}}),
        ):
            rows = [{"job_id": job_id, "action": action, "token": token, **said} for job_id, token in jobs]
            results = (await _post(connection, "/v1/reports", {"reports": rows}))["results"]
            refused = [result["problem"] for result in results if "problem" in result]
            if refused:
                raise GeneratorError(f"{len(refused)} of {len(rows)} rows were refused: {refused[0].get('code')}")
    return len(jobs)


async def _claim(connection: Connection, worker: str, queue: str, most: int) -> list[tuple[str, str]]:
    wanted = {"worker": worker, "queues": [queue], "max": most, "lease_seconds": _LEASE_SECONDS}
    claimed = await _post(connection, "/v1/claims", wanted)
    return [(job["id"], job["lease"]["token"]) for job in claimed["jobs"]]


async def _post(connection: Connection, path: str, document: Any) -> dict[str, Any]:
    answer = await connection.call(Request.post(path, document).raw())
    if answer.status != 200:
        raise GeneratorError(f"{path.rsplit('/', 1)[-1]} was answered with {answer.status}")
    found: dict[str, Any] = json.loads(answer.body)
    return found
