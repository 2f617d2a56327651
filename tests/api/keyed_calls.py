"""A valid call of every unsafe operation, with another one under the same key and what it is about, for the tests of
Idempotency-Keys.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.api.example_values import valid
from tests.api.operations import OPERATIONS, UNKNOWN, Operation

READS = {
    "jobs_wait", "immuta_jobs_statuses", "immuta_apikey_authenticate", "docent_agent_run_jobs_batch_status",
    # Answers with an id and stores nothing.
    "docent_collections_create",
    # A repeat makes a code that nobody uses.
    "sessions_create_code",
}  # fmt: skip
UNSAFE = [one for one in OPERATIONS if one.method != "get" and one.said["operationId"] not in READS]
TYPE, TOKENS = "keyed", "tokens"


@dataclass(slots=True)
class Scene:
    """A project with what an operation is about."""

    api: httpx.AsyncClient
    url: str
    body: Any = None
    other: Any = None
    """What the same operation is asked for otherwise; None where there is no other request of this operation."""
    job: str | None = None
    """The job that the call is about."""
    token: str | None = None
    gone: str | None = None
    """What a repeat says when that job, or the one that the call created, was deleted; None: what the first one did."""
    content: bool = False
    """Whether the bodies are bytes and not JSON."""
    headers: list[dict[str, str]] = field(default_factory=lambda: [{}, {}, {}])

    async def call(self, method: str, body: Any, *keys: str | bytes, turn: int = 0) -> httpx.Response:
        """Send the call with these lines of Idempotency-Key."""
        sent: dict[str, Any] = {} if body is None else {"content": body} if self.content else {"json": body}
        lines: list[tuple[Any, Any]] = [*self.headers[turn].items(), *(("Idempotency-Key", key) for key in keys)]
        return await self.api.request(method, self.url, headers=lines, **sent)


async def created(api: httpx.AsyncClient, **fields: Any) -> str:
    answer = await api.post("/v1/jobs", json={"type": TYPE, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ended(api: httpx.AsyncClient) -> str:
    job_id = await created(api)
    await api.post(f"/v1/jobs/{job_id}/cancel")
    return job_id


async def held(api: httpx.AsyncClient) -> tuple[str, str]:
    await created(api)
    (job,) = (await api.post("/v1/claims", json={"worker": "w", "lease_seconds": 600})).json()["jobs"]
    return job["id"], job["lease"]["token"]


async def erase(api: httpx.AsyncClient, job_id: str, token: str | None = None) -> None:
    """Delete a job, whatever it takes."""
    if (await api.post(f"/v1/jobs/{job_id}/cancel")).status_code == 202:
        assert (await api.post(f"/v1/jobs/{job_id}/release", json={"token": token})).status_code == 200
    assert (await api.delete(f"/v1/jobs/{job_id}")).status_code == 204


DELETED_MADE, DELETED_SINCE = "was deleted; use a new key", "its job was deleted since"


async def _of_job(api: httpx.AsyncClient, one: Operation, job_id: str, **more: Any) -> Scene:
    return Scene(api, one.url.replace(UNKNOWN, job_id), job=job_id, **more)


async def _cancelled(api: httpx.AsyncClient, one: Operation) -> Scene:
    bodies = {} if one.schema() is None else {"body": {"reason": "a"}, "other": {"reason": "b"}}
    return await _of_job(api, one, await created(api), gone=DELETED_SINCE, **bodies)


async def _deleted(api: httpx.AsyncClient, one: Operation) -> Scene:
    return await _of_job(api, one, await ended(api))


async def _rerun(api: httpx.AsyncClient, one: Operation) -> Scene:
    bodies = {} if one.schema() is None else {"body": {}, "other": {"only_failed_items": True}}
    return await _of_job(api, one, await ended(api), gone=DELETED_MADE, **bodies)


async def _reported(api: httpx.AsyncClient, one: Operation) -> Scene:
    job_id, token = await held(api)
    body: dict[str, Any] = {**valid(one.document, one.schema() or {}), "token": token}
    if one.said["operationId"] == "jobs_report":
        body |= {"lease_seconds": 300, "logs": [{"message": "once"}]}
    # A release has nothing but its token.
    changed: dict[str, dict[str, Any]] = {
        "jobs_complete": {"result": 0}, "jobs_fail": {"message": "other"}, "jobs_report": {"progress": 99},
    }  # fmt: skip
    other = {**body, **changed.get(one.said["operationId"], {"token": UNKNOWN})}
    return await _of_job(api, one, job_id, body=body, other=other, token=token, gone=DELETED_SINCE)


async def _reports(api: httpx.AsyncClient, one: Operation) -> Scene:
    job_id, token = await held(api)
    row = {"job_id": job_id, "action": "report", "token": token, "logs": [{"message": "once"}]}
    other = {"reports": [row, row]}
    return Scene(api, one.url, {"reports": [row]}, other, job=job_id, token=token, gone=DELETED_SINCE)


async def _created(api: httpx.AsyncClient, one: Operation) -> Scene:
    schema = one.schema()
    body: Any = valid(one.document, schema or {})
    url = one.url.replace(UNKNOWN, "a-collection")
    if one.said["operationId"] == "jobs_create":
        return Scene(api, url, body, {**body, "priority": 6}, gone=DELETED_MADE)
    if one.said["operationId"] == "jobs_create_batch":
        return Scene(api, url, body, {"jobs": body["jobs"] * 2}, gone=DELETED_MADE)
    if one.document == "captain":
        # The sources that ask for nothing have to be given something.
        body = {**body, "url": "https://example.test"}
    return Scene(api, url, body, {**body, "custom_metadata": {"a": 1}, "item_ids": ["z"]}, gone=DELETED_MADE)


async def _uploaded(api: httpx.AsyncClient, one: Operation) -> Scene:
    if one.document == "captain":
        # A client chooses the boundary anew each time that it sends the same form.
        forms = [_form(boundary, text) for boundary, text in (("one", b"a"), ("two", b"a"), ("three", b"b"))]
        url = one.url.replace(UNKNOWN, "a-collection")
        return Scene(api, url, forms, gone=DELETED_MADE, content=True, headers=[
            {"Content-Type": f"multipart/form-data; boundary={boundary}"} for boundary in ("one", "two", "three")
        ])  # fmt: skip
    if one.document == "docent":
        return Scene(api, one.url.replace(UNKNOWN, "c"), b'{"a": 1}', b'{"a": 2}', gone=DELETED_MADE, content=True)
    return await _of_job(api, one, await created(api), body=b"a", other=b"b", gone=DELETED_SINCE, content=True)


def _form(boundary: str, text: bytes) -> bytes:
    part = b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + text
    return b"--" + boundary.encode() + b"\r\n" + part + b"\r\n--" + boundary.encode() + b"--\r\n"


async def _claimed(api: httpx.AsyncClient, one: Operation) -> Scene:
    for _ in range(2):
        await created(api)
    body = {"worker": "w", "max": 1, "lease_seconds": 300, "wait": 2}
    return Scene(api, one.url, body, {**body, "max": 2})


async def _many(api: httpx.AsyncClient, one: Operation) -> Scene:
    for make in (created, ended):
        for _ in range(2):
            await make(api)
    return Scene(api, one.url, {"type": [TYPE]}, {"type": [TYPE, "other"]})


async def _queue(api: httpx.AsyncClient, one: Operation) -> Scene:
    job_id = await created(api, queue="a?q/ü")
    if one.said["operationId"] == "queues_delete":
        await api.post(f"/v1/jobs/{job_id}/cancel")
    if one.said["operationId"] == "queues_resume":
        await api.post("/v1/queues/a%3Fq%2F%C3%BC/pause")
    sent: dict[str, dict[str, Any]] = {
        "queues_put": {"body": {"concurrency_limit": 4}, "other": {"concurrency_limit": 5}},
        "queues_pause": {"body": {"reason": "one"}, "other": {"reason": "other"}},
    }
    bodies = sent.get(one.said["operationId"], {})
    return Scene(api, one.url.replace(UNKNOWN, "a%3Fq%2F%C3%BC"), bodies.get("body"), bodies.get("other"))


async def _key(api: httpx.AsyncClient, one: Operation) -> Scene:
    new = {"name": "n", "scopes": ["read"]}
    if one.said["operationId"] == "keys_create":
        return Scene(api, one.url, new, {**new, "name": "m"})
    url = one.url.replace(UNKNOWN, (await api.post("/v1/keys", json=new)).json()["id"])
    times = {"body": {"expires_at": "2090-01-01T00:00:00Z"}, "other": {"expires_at": None}}
    return Scene(api, url) if one.schema() is None else Scene(api, url, times["body"], times["other"])


async def _project(api: httpx.AsyncClient, one: Operation) -> Scene:
    name = f"keyed-{uuid.uuid4()}"
    return Scene(api, one.url, {"name": name}, {"name": f"{name}-other"})


SCENES: dict[str, Callable[[httpx.AsyncClient, Operation], Awaitable[Scene]]] = {
    **dict.fromkeys(
        ("jobs_cancel", "captain_jobs_cancel", "captain_jobs_delete", "llamacloud_batch_cancel"), _cancelled
    ),
    **dict.fromkeys(("jobs_rerun", "fifthelement_jobs_rerun", "fifthelement_v1_api_jobs_rerun"), _rerun),
    **dict.fromkeys(("jobs_report", "jobs_complete", "jobs_fail", "jobs_release"), _reported),
    **dict.fromkeys(("jobs_create", "jobs_create_batch", "llamacloud_batch_create"), _created),
    **dict.fromkeys((one.said["operationId"] for one in UNSAFE if "/index/" in one.path), _created),
    **dict.fromkeys(("captain_index_file", "docent_agent_runs_create", "jobs_put_input"), _uploaded),
    **dict.fromkeys(("jobs_cancel_many", "jobs_rerun_many"), _many),
    **dict.fromkeys(("queues_put", "queues_pause", "queues_resume", "queues_delete"), _queue),
    **dict.fromkeys(("keys_create", "keys_set_expiry", "keys_revoke"), _key),
    "jobs_delete": _deleted,
    "reports_create": _reports,
    "claims_create": _claimed,
    "projects_create": _project,
}
"""By operation."""
