"""One real job in each state, brought there by what brings jobs there: producers, a worker, and time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from app.domain.states import JobState

FILES: list[dict[str, Any]] = [
    {"key": "a.pdf", "uri": "s3://bucket/a.pdf", "name": "A", "status": "completed", "result": {"pages": 3}},
    {"key": "b.pdf", "uri": "s3://bucket/b.pdf", "status": "processing", "stage": "embedding", "message": "page 2"},
]
TORN = {"key": "b.pdf", "status": "failed", "error_code": "torn", "error_message": "page 3 is no page"}
RESULT = {"documentsProcessed": 2, "errors": 0, "warnings": ["one page was empty"]}
LIFETIME = timedelta(seconds=1)


class Maker:
    """Makes jobs of one project over the native API."""

    def __init__(self, api: httpx.AsyncClient, **fields: Any) -> None:
        self._api = api
        self._fields = {"type": "document_processing", **fields}

    async def post(self, path: str, body: Any = None) -> dict[str, Any]:
        """One call that must succeed."""
        answer = await self._api.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def create(self, **fields: Any) -> str:
        """Make a job; its id."""
        return str((await self.post("/v1/jobs", {**self._fields, **fields}))["id"])

    async def held(self, **report: Any) -> tuple[str, str]:
        """A job that a worker holds, and its token; with a report it runs."""
        job_id = await self.create()
        asked = {"worker": "w-1", "job_ids": [job_id], "max": 1, "lease_seconds": 600}
        token = str((await self.post("/v1/claims", asked))["jobs"][0]["lease"]["token"])
        if report:
            await self.post(f"/v1/jobs/{job_id}/report", {"token": token, **report})
        return job_id, token

    async def running(self) -> tuple[str, str]:
        """A job that is half done."""
        return await self.held(stage="embedding", progress=42.5, message="Embedding", items=FILES)

    async def ended(self, verb: str, **fields: Any) -> str:
        """A job that its worker has ended."""
        job_id, token = await self.running()
        await self.post(f"/v1/jobs/{job_id}/{verb}", {"token": token, **fields})
        return job_id

    async def all_states(self) -> dict[JobState, str]:
        """One job in each state; the ids."""
        short = datetime.now(UTC) + LIFETIME
        expiring = await self.create(expires_at=short.isoformat())
        made = {
            JobState.PENDING: await self.create(),
            JobState.DISPATCHED: (await self.held())[0],
            JobState.RUNNING: (await self.running())[0],
            JobState.RETRYING: await self.ended("fail", code="busy", message="try again", retry_after_seconds=3600),
            JobState.CANCELLING: (await self.running())[0],
            JobState.FAILED: await self.ended("fail", code="torn", message="no page at all", retryable=False),
            JobState.CANCELLED: await self.create(),
            JobState.EXPIRED: expiring,
        }
        for state in (JobState.CANCELLING, JobState.CANCELLED):
            await self.post(f"/v1/jobs/{made[state]}/cancel")
        for state, last in ((JobState.COMPLETED, {"key": "b.pdf", "status": "completed"}), (WITH_FAILURES, TORN)):
            job_id, token = await self.running()
            await self.post(f"/v1/jobs/{job_id}/report", {"token": token, "items": [last]})
            await self.post(f"/v1/jobs/{job_id}/complete", {"token": token, "result": RESULT})
            made[state] = job_id
        await self._api.get(f"/v1/jobs/{expiring}", params={"wait": 20})
        for state, job_id in made.items():
            assert (await self._api.get(f"/v1/jobs/{job_id}")).json()["status"] == state
        assert set(made) == set(JobState)
        return {state: made[state] for state in JobState}


WITH_FAILURES = JobState.COMPLETED_WITH_FAILURES
