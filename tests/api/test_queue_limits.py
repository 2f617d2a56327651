"""What a key limited to some queues may do: every operation of every API has a row here, and is tried with each scope.

An operation without a row fails `test_every_operation_has_a_row`. Reading is not limited: such a key reads its project.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from app import dialects
from app.api import document
from app.domain.principal import Principal, Scope
from tests.api.queue_rows import FENCED, LEFT_OUT, NO_QUEUE, READ, REFUSED, ROWS, Decision, Row, Target
from tests.service_process import ServiceProcess

SCOPES = (Scope.READ, Scope.SUBMIT, Scope.WORK, Scope.ADMIN, Scope.OPERATOR)
NAMING = {"queue", "queues", "job_id", "job_ids", "jobIds", "ids", "id", "item_id", "key_id"}
"""The parameters and fields that name a queue, or a job or key of one."""


OWN: Mapping[str, str] = {}
"""No headers of its own: the operator's key."""


@cache
def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Every operation of every document: its method, its path and what is said of it."""
    documents = [document.openapi(), *map(dialects.openapi, dialects.discover())]
    return {
        operation["operationId"]: (method, path, {**operation, "schemas": document["components"]["schemas"]})
        for document in documents
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def names_in(operation: dict[str, Any]) -> Iterator[str]:
    """The names of all parameters, and of all fields of the body, however deep."""
    yield from (parameter["name"] for parameter in operation.get("parameters", ()))
    pending, seen = [operation.get("requestBody", {})], set[str]()
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            yield from one.get("properties", ())
            pending += one.values()
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                pending.append(operation["schemas"][name])


def test_every_operation_has_a_row() -> None:
    assert {row.operation for row in ROWS} == set(operations())


def test_no_operation_that_names_a_queue_is_said_to_name_none() -> None:
    for row in ROWS:
        if row.decision is NO_QUEUE:
            assert not NAMING.intersection(names_in(operations()[row.operation][2])), row


def test_no_operation_that_changes_something_is_said_to_read() -> None:
    for row in ROWS:
        if row.decision is READ:
            assert Scope.READ in scopes_that_may(row) or operations()[row.operation][0] == "get", row


def scopes_that_may(row: Row) -> set[Scope]:
    """The scopes with which one may call the operation at all."""
    [security] = operations()[row.operation][2]["security"]
    [wanted] = security.values()
    return {
        scope
        for scope in SCOPES
        for principal in [Principal(UUID(int=1), "k", "n", frozenset({scope}))]
        if any(principal.may(Scope(one)) for one in wanted) and (row.needs is None or principal.may(row.needs))
    }


def pairs(*decisions: Decision) -> list[Any]:
    """Every row of these decisions with every scope that may call it."""
    return [
        pytest.param(row, scope, id=f"{row}-{scope}")
        for row in ROWS
        if row.decision in decisions
        for scope in sorted(scopes_that_may(row))
    ]


class Place:
    """A service, seen by its operator and through keys that are limited."""

    def __init__(self, operator: httpx.AsyncClient) -> None:
        self.operator = operator

    async def target(self, row: Row) -> Target:
        """Create what an operation can be tried on."""
        queue = f"{row.queue or 'limited'}-{uuid4()}" if row.queue in {None, "new"} else str(row.queue)
        key = {"name": "of the queue", "scopes": ["read"], "queues": [queue]}
        made = await self.operator.post("/v1/keys", json=key)
        assert made.status_code == 201, made.text
        if row.queue == "new":
            return Target(queue, made.json()["id"], str(uuid4()))
        target = Target(queue, made.json()["id"], "")
        job = {"type": f"type of {queue}", "queue": queue, "labels": target.labels}
        created = await self.operator.post("/v1/jobs", json=job)
        assert created.status_code == 201, created.text
        target.job_id = created.json()["id"]
        sent = await self.operator.put(f"/v1/jobs/{target.job_id}/input", content=b"input")
        assert sent.status_code == 201, sent.text
        if row.ended:
            assert (await self.operator.post(f"/v1/jobs/{target.job_id}/cancel")).status_code == 200
        return target

    async def limited(self, scope: Scope, queue: str) -> dict[str, str]:
        """The headers of a key that has one scope and one queue."""
        made = await self.operator.post("/v1/keys", json={"name": "limited", "scopes": [scope], "queues": [queue]})
        assert made.status_code == 201, made.text
        return {"Authorization": f"Bearer {made.json()['key']}"}

    async def call(self, row: Row, target: Target, key: Mapping[str, str] = OWN) -> httpx.Response:
        """Call the operation; the answer's body is there unless it is a stream."""
        method, path, _ = operations()[row.operation]
        values = {
            "{queue}": quote(target.queue, safe=""),
            "{key_id}": target.key_id,
            "{item_id}": f"{target.job_id}.x",
            "{name}": "collection",
            "{collection_id}": "collection",
        }
        for name, value in values.items():
            path = path.replace(name, value)
        path = re.sub(r"\{(job_)?id\}", target.job_id, path)
        sends = {**row.sends, "headers": {**row.sends.get("headers", {}), **key}}
        if row.body is not None:
            sends["json"] = row.body(target)
        async with self.operator.stream(method, path, **sends) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                await answer.aread()
            return answer

    async def state(self, target: Target) -> Any:
        """All that a call could have changed of the queue, its jobs and its key."""
        jobs = await self.operator.get("/v1/jobs", params={"queue": target.queue, "limit": 10})
        queue = (await self.operator.get(f"/v1/queues/{target.queue}")).json()
        key = (await self.operator.get(f"/v1/keys/{target.key_id}")).json()
        keys = (await self.operator.get("/v1/keys", params={"limit": 10})).json()["keys"]
        sent = await self.operator.get(f"/v1/jobs/{target.job_id}/input")
        return (
            [(job["id"], job["status"], job["version"]) for job in jobs.json()["jobs"]],
            [queue.get(name) for name in ("paused", "concurrency_limit", "retry", "retention", "updated_at", "detail")],
            (key["expires_at"], key["revoked_at"]),
            [one["id"] for one in keys],
            sent.headers.get("etag"),
        )


@pytest_asyncio.fixture(scope="module")
async def place(service: ServiceProcess) -> AsyncIterator[Place]:
    # One client for all: making one takes longer than all that a test asks.
    async with service.client() as operator:
        yield Place(operator)


@pytest.mark.parametrize(("row", "scope"), pairs(REFUSED, LEFT_OUT, FENCED))
async def test_key_of_other_queues_changes_nothing(place: Place, row: Row, scope: Scope) -> None:
    target = await place.target(row)
    of_others, of_the_queue = [await place.limited(scope, queue) for queue in ("elsewhere", target.queue)]
    before = await place.state(target)
    answer = await place.call(row, target, of_others)
    assert await place.state(target) == before
    if row.decision is REFUSED:
        assert answer.status_code == 403, answer.text
    else:
        assert answer.status_code in {200, 409}, answer.text
    if row.decision is FENCED:
        return
    # The same call by a key of the right queue: it was refused for the queue and for nothing else.
    answer = await place.call(row, target, of_the_queue)
    if row.allowed is None:
        assert answer.status_code == 403, answer.text
        assert await place.state(target) == before
    else:
        assert answer.status_code == row.allowed, answer.text
        assert (await place.state(target) != before) is row.changes, answer.text


@pytest.mark.parametrize(("row", "scope"), pairs(READ))
async def test_key_of_other_queues_reads_its_project(place: Place, row: Row, scope: Scope) -> None:
    target = await place.target(row)
    answer = await place.call(row, target, await place.limited(scope, "elsewhere"))
    assert answer.status_code == (await place.call(row, target)).status_code
    assert answer.status_code in {200, 404}


async def test_each_row_of_a_batch_is_judged_by_its_own_queue(place: Place) -> None:
    row = next(row for row in ROWS if row.operation == "jobs_create_batch")
    target = await place.target(row)
    key = await place.limited(Scope.SUBMIT, target.queue)
    jobs = [{"type": "t", "queue": queue} for queue in ("elsewhere", target.queue, "elsewhere")]
    answer = await place.operator.post("/v1/jobs/batch", json={"jobs": jobs}, headers=key)
    results = answer.json()["results"]
    assert [result.get("problem", {}).get("code") for result in results] == ["forbidden", None, "forbidden"]
    assert results[1]["job"]["queue"] == target.queue


async def test_claim_repeated_by_a_key_of_other_queues_is_not_answered_with_its_jobs(place: Place) -> None:
    row = next(row for row in ROWS if row.operation == "claims_create" and row.variant == "of any queue")
    target, key = await place.target(row), {"Idempotency-Key": str(uuid4())}
    claimed = await place.call(row, target, key)
    assert [job["id"] for job in claimed.json()["jobs"]] == [target.job_id]
    repeated = await place.call(row, target, {**key, **await place.limited(Scope.WORK, "elsewhere")})
    assert (repeated.status_code, repeated.json()) == (200, {"jobs": []})
    assert "idempotency-replayed" not in repeated.headers


async def test_batch_repeated_by_a_key_of_other_queues_is_not_answered_with_its_jobs(place: Place) -> None:
    """A row that is refused makes no job, so that those behind it would take the numbers of those before."""
    queue, key = f"limited-{uuid4()}", {"Idempotency-Key": str(uuid4())}
    jobs = {"jobs": [{"type": "t", "queue": queue}, {"type": "t", "queue": "elsewhere"}]}
    made = await place.operator.post("/v1/jobs/batch", json=jobs, headers=key)
    assert made.json()["results"][0]["job"]["queue"] == queue
    limited = await place.limited(Scope.SUBMIT, "elsewhere")
    repeated = await place.operator.post("/v1/jobs/batch", json=jobs, headers={**key, **limited})
    assert (repeated.status_code, repeated.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")


async def test_input_for_another_queues_job_is_refused_before_it_is_sent(place: Place) -> None:
    row = next(row for row in ROWS if row.operation == "jobs_put_input")
    target = await place.target(row)
    headers = {"Host": "x", "Content-Length": "100000", **await place.limited(Scope.SUBMIT, "elsewhere")}
    head = f"PUT /v1/jobs/{target.job_id}/input HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(place.operator.base_url.host, place.operator.base_url.port)
    try:
        writer.write(f"{head}\r\n".encode())
        # Nothing of the body: who waits for it before it looks at the queue does not answer.
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
    finally:
        writer.close()
