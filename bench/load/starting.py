"""Workers that wait for jobs and clients that wait for their ends, over HTTP: how long each learns after the other."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.load.connection import Answer, Connection, Request, connect
from bench.load.generator import Channel, GeneratorError
from bench.peers.program import CONCURRENCY, HELD_SECONDS, STARTED_APART_SECONDS

_WAIT_SECONDS = 20
_LEASE_SECONDS = 300


@dataclass(slots=True)
class Started:
    """When each job was sent, begun, ended by its worker, and known to have ended."""

    sent: dict[str, float] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)


async def start_and_end(channel: Channel | None, port: int, queue: str, *, tries: int) -> dict[str, Sequence[float]]:
    """Create jobs a moment apart while a worker waits for them; seconds to their start, and from their end to who waits
    for it.
    """
    del channel
    found = Started()
    worker = asyncio.ensure_future(_work(port, queue, found, tries))
    try:
        await asyncio.gather(*(_create(port, queue, found, n) for n in range(tries)))
        await worker
    finally:
        worker.cancel()
    return {
        "starts": [found.began[job] - sent for job, sent in found.sent.items()],
        "ends": [known - found.ended[job] for job, known in found.known.items()],
    }


async def _create(port: int, queue: str, found: Started, n: int) -> None:
    connection = await connect(port)
    await asyncio.sleep(n * STARTED_APART_SECONDS)
    sent = time.monotonic()
    job = Request.post("/v1/jobs", {"type": "probe", "queue": queue, "payload": {"n": n}})
    job_id = str(json.loads((await _call(connection, job, 201)).body)["id"])
    found.sent[job_id] = sent
    answer = await _call(connection, Request.post("/v1/jobs/wait", {"ids": [job_id], "wait": _WAIT_SECONDS}))
    found.known[job_id] = answer.at
    connection.close()


async def _work(port: int, queue: str, found: Started, tries: int) -> None:
    """Claim what there is, and let each job run on its own."""
    connection = await connect(port)
    running: list[asyncio.Future[None]] = []
    claim = {"worker": "prober", "queues": [queue], "max": CONCURRENCY, "wait": _WAIT_SECONDS}
    request = Request.post("/v1/claims", claim | {"lease_seconds": _LEASE_SECONDS})
    while len(running) < tries:
        jobs = json.loads((await _call(connection, request)).body)["jobs"]
        if not jobs:
            raise GeneratorError(f"of {tries} jobs {len(running)} were claimed")
        for job in jobs:
            found.began[job["id"]] = time.monotonic()
            running.append(asyncio.ensure_future(_run(port, job["id"], job["lease"]["token"], found)))
    await asyncio.gather(*running)
    connection.close()


async def _run(port: int, job_id: str, token: str, found: Started) -> None:
    connection = await connect(port)
    await asyncio.sleep(random.uniform(*HELD_SECONDS))
    found.ended[job_id] = time.monotonic()
    await _call(connection, Request.post(f"/v1/jobs/{job_id}/complete", {"token": token}))
    connection.close()


async def idle(channel: Channel | None, port: int, queue: str, *, seconds: float) -> None:
    """Be a worker that waits for work there is none of."""
    del channel
    connection = await connect(port)
    claim = {"worker": "idler", "queues": [queue], "wait": max(int(seconds), 1), "lease_seconds": _LEASE_SECONDS}
    await _call(connection, Request.post("/v1/claims", claim))
    connection.close()


async def _call(connection: Connection, request: Request, status: int = 200) -> Answer:
    answer = await connection.call(request.raw())
    if answer.status != status:
        raise GeneratorError(f"{request.path} was answered with {answer.status}: {answer.body[:200]!r}")
    return answer
