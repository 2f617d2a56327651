"""Workers over HTTP: they claim jobs, report on them and complete them, as fast as they are answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bench.load.connection import Connection, Request, connect_many
from bench.load.generator import Channel, GeneratorError

JOBS_A_CLAIM = 100
_LEASE_SECONDS = 300
_RESULT = {"result": {"pages": 12}}
_REPORT = {"stage": "embedding", "progress": 50}


class Form(StrEnum):
    """How a worker gets through its jobs."""

    ONE = "one by one"
    FUSED = "with claim in complete"
    MANY = "with POST /v1/reports"
    ENDS = "claim and complete alone, with POST /v1/reports"
    """By a hundred, as `MANY`, and without the report between."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What the workers did."""

    jobs: int
    seconds: float
    cpu: float
    """Processor time of the workers themselves."""


async def work(
    channel: Channel | None, port: int, queue: str, *, workers: int, seconds: float, form: Form, report: bool = True
) -> Worked:
    """Work for a time, or until a worker finds nothing more."""
    del channel
    connections = await connect_many(port, workers)
    began, used = time.monotonic(), time.process_time()

    async def work_through(number: int, connection: Connection) -> int:
        worker = Worker(connection, f"worker-{number}", queue, report=report and form != Form.ENDS)
        turn = {Form.ONE: worker.one, Form.FUSED: worker.fused}.get(form, worker.many)
        done = 0
        while time.monotonic() < began + seconds:
            finished = await turn()
            if not finished:
                break
            done += finished
        return done

    done = await asyncio.gather(*(work_through(*numbered) for numbered in enumerate(connections)))
    took, used = time.monotonic() - began, time.process_time() - used
    for connection in connections:
        connection.close()
    return Worked(sum(done), took, used)


class Worker:
    """One worker on a connection of its own."""

    def __init__(self, connection: Connection, name: str, queue: str, *, report: bool) -> None:
        self._connection = connection
        self._name = name
        self._queue = queue
        self._reporting = report
        self._held: deque[tuple[str, str]] = deque()
        """Jobs that came with the answer to a completion."""

    async def one(self) -> int:
        """Claim a job, report on it, complete it: a call each."""
        jobs = await self._claim(1)
        for job_id, token in jobs:
            await self._report(job_id, token)
            await self._post(f"/v1/jobs/{job_id}/complete", {"token": token, **_RESULT})
        return len(jobs)

    async def fused(self) -> int:
        """The same with the next claim in the completion: two calls a job, after the first."""
        if not self._held:
            self._held.extend(await self._claim(1))
        if not self._held:
            return 0
        job_id, token = self._held.popleft()
        await self._report(job_id, token)
        claim = {"queues": [self._queue], "max": 1, "lease_seconds": _LEASE_SECONDS}
        answer = await self._post(f"/v1/jobs/{job_id}/complete", {"token": token, **_RESULT, "claim": claim})
        self._held.extend(_tokens(answer["claimed"]))
        return 1

    async def many(self) -> int:
        """Claim a hundred jobs, and report on and complete them in a call each."""
        jobs = await self._claim(JOBS_A_CLAIM)
        if jobs:
            if self._reporting:
                await self._reports("report", jobs, _REPORT)
            await self._reports("complete", jobs, _RESULT)
        return len(jobs)

    async def _report(self, job_id: str, token: str) -> None:
        if self._reporting:
            await self._post(f"/v1/jobs/{job_id}/report", {"token": token, **_REPORT})

    async def _reports(self, action: str, jobs: list[tuple[str, str]], said: dict[str, Any]) -> None:
        rows = [{"job_id": job_id, "action": action, "token": token, **said} for job_id, token in jobs]
        results = (await self._post("/v1/reports", {"reports": rows}))["results"]
        refused = [result["problem"] for result in results if "problem" in result]
        if refused:
            raise GeneratorError(f"{len(refused)} of {len(rows)} rows were refused: {refused[0].get('code')}")

    async def _claim(self, most: int) -> list[tuple[str, str]]:
        claim = {"worker": self._name, "queues": [self._queue], "max": most, "lease_seconds": _LEASE_SECONDS}
        return _tokens((await self._post("/v1/claims", claim))["jobs"])

    async def _post(self, path: str, document: Any) -> dict[str, Any]:
        answer = await self._connection.call(Request.post(path, document).raw())
        if answer.status != 200:
            raise GeneratorError(f"{path.rsplit('/', 1)[-1]} was answered with {answer.status}")
        found: dict[str, Any] = json.loads(answer.body)
        return found


def _tokens(jobs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(job["id"], job["lease"]["token"]) for job in jobs]
