"""The service of one job as a worker sees it, played in memory: it takes reports and endings, and lists items."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx

from jobtrack_client.models import ClaimedJob, ItemUpdate
from jobtrack_client.testing.outcome import Outcome
from jobtrack_client.todo import UNFINISHED

_STATUSES = (*UNFINISHED, "completed", "failed", "skipped", "cancelled")
_FIELDS = ("stage", "progress", "message")
_NOW = "2026-01-01T00:00:00.000Z"


class PlayedService(httpx.AsyncBaseTransport):
    """A transport that answers a worker's calls about one job, and keeps what they say in `job`."""

    def __init__(self, job: Outcome, *, max_attempts: int) -> None:
        self.job = job
        self.cancel_requested = False
        self._max_attempts = max_attempts
        self._id = str(uuid.uuid4())

    def claimed(self) -> ClaimedJob:
        """Return the job as a claim brings it."""
        job = self.job
        claimed: dict[str, Any] = {
            "id": self._id,
            "type": job.type,
            "queue": "default",
            "status": "dispatched",
            "progress": 0,
            "counts": {"total": len(job.items), "processed": 0, "failed": 0, "skipped": 0},
            "payload": job.payload,
            "labels": {},
            "priority": 0,
            "attempt": job.attempt,
            "max_attempts": self._max_attempts,
            "original_job_id": str(uuid.uuid4()) if job.is_rerun else None,
            "worker": "test",
            "version": 1,
            **dict.fromkeys(("created_at", "updated_at", "status_changed_at", "scheduled_at", "started_at"), _NOW),
            **dict.fromkeys(("collection", "stage", "message", "eta", "result", "billing", "error", "engine")),
            **dict.fromkeys(("expires_at", "completed_at", "cancelled_at", "cancelled_by")),
            "lease": {"token": str(uuid.uuid4()), "expires_in_seconds": None},
            "checkpoint": job.stored_checkpoint,
            "items": self._page(UNFINISHED),
        }
        return claimed  # type: ignore[return-value]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the service would."""
        action = request.url.path.rpartition("/")[2]
        if action == "items":
            status = request.url.params.get_list("status")
            return httpx.Response(200, json=self._page(status or _STATUSES))
        body = json.loads(request.content)
        if action == "report":
            return self._report(body)
        self._end(action, body)
        return httpx.Response(200, json={"id": self._id, "status": self.job.status})

    def _page(self, status: Any) -> dict[str, Any]:
        items = [
            {"id": f"{self._id}.{key}", **item} for key, item in self.job.items.items() if item["status"] in status
        ]
        return {"items": items, "next_cursor": None}

    def _report(self, body: dict[str, Any]) -> httpx.Response:
        updates = body.get("items", [])
        faults = [
            {"pointer": f"/items/{n}/{field}", "code": "invalid", "message": message}
            for n, update in enumerate(updates)
            for field, message in _faults(update)
        ]
        if faults:
            problem = {"status": 422, "code": "invalid", "detail": faults[0]["message"], "errors": faults}
            return httpx.Response(422, json=problem)
        for name in _FIELDS:
            setattr(self.job, name, body.get(name, getattr(self.job, name)))
        for update in updates:
            item = self.job.items.setdefault(update["key"], {"key": update["key"], "status": "queued"})
            if update.get("status") not in {None, "failed"}:
                item.pop("error_code", None)
                item.pop("error_message", None)
            item.update(update)
        declared = body.get("items_total", self.job.total)
        if declared is not None or self.job.items:
            self.job.total = max(declared or 0, len(self.job.items))
        self.job.logs += body.get("logs", [])
        self.job.stored_checkpoint = body.get("checkpoint", self.job.stored_checkpoint)
        lease = {"expires_in_seconds": None}
        answer = {"status": "running", "cancel_requested": self.cancel_requested, "lease": lease}
        return httpx.Response(200, json=answer)

    def _end(self, action: str, body: dict[str, Any]) -> None:
        job = self.job
        if action == "complete":
            job.status = "completed_with_failures" if job.keys("failed") else "completed"
            job.result, job.billing = body.get("result"), body.get("billing")
        elif action == "release":
            job.status = "cancelled" if self.cancel_requested else "pending"
        else:
            may_retry = body["retryable"] and job.attempt < self._max_attempts
            job.status = "retrying" if may_retry else "failed"
            job.error = {"code": body["code"], "message": body["message"]}
            job.retry_after_seconds = body.get("retry_after_seconds")


def _faults(update: dict[str, Any]) -> list[tuple[str, str]]:
    faults = [(name, "There is no such field") for name in update.keys() - ItemUpdate.__annotations__.keys()]
    if update.get("status", "queued") not in _STATUSES:
        faults.append(("status", f"A status is one of {', '.join(_STATUSES)}"))
    return faults
