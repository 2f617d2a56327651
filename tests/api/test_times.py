"""Far and odd times and lengths: taken, or refused by name, wherever a document has room for one."""

import copy
import itertools
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from app.db.opening import asyncpg_dsn
from tests.api.example_values import forms, valid
from tests.api.operations import OPERATIONS, UNKNOWN, Operation, name_of
from tests.conftest import StartService
from tests.service_process import ServiceProcess

LAST = "9999-12-31T23:59:58.999999Z"
TIMES: tuple[Any, ...] = (
    LAST, "1970-01-01T00:00:00Z", "2026-01-01T00:00:00.1234567+02:00",
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00", "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59Z", "9999-12-31T24:00:00Z", "9999-12-31T23:59:59-12:00", "+010000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z",
    "infinity", "-infinity", "never", "2026-06-30T23:59:60Z", 253_402_300_799, -1, 1e308,
)  # fmt: skip
NUMBERS = (
    0, 1, -1, -0.0, 0.1, 1e-7, 1e-310, 5e-324, 1e308, -1e308, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30
)  # fmt: skip
STANDS_FOR_NONE = re.compile(r"\b(?:0001|1970|9999|10000)-\d\d-\d\d|infinity", re.IGNORECASE)
Path = tuple[str | int, ...]


def leaves(document: str, schema: dict[str, Any], body: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield the place of every time and number in a body, its schema, and a body that has something there."""
    for form in forms(document, schema):
        if form.get("format") == "date-time" or form.get("type") in ("integer", "number"):
            yield path, form, body
        elif form.get("type") == "object":
            for name, field in form.get("properties", {}).items():
                inside = {**valid(document, form), **(body if isinstance(body, dict) else {})}
                for below, leaf, value in leaves(document, field, inside.get(name)):
                    yield (*path, name, *below), leaf, {**inside, name: value}
        elif form.get("type") == "array":
            for below, leaf, value in leaves(document, form["items"], None):
                yield (*path, 0, *below), leaf, [value]


def put(body: Any, path: Path, value: Any) -> Any:
    """Put a value into a place of a body."""
    if not path:
        return value
    changed = copy.deepcopy(body)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def values_of(leaf: dict[str, Any]) -> list[Any]:
    """List what a field is tried with."""
    if leaf.get("format") == "date-time":
        return list(TIMES)
    bounds = [leaf[word] for word in ("minimum", "maximum") if word in leaf]
    return [*NUMBERS, *itertools.chain.from_iterable((bound - 1, bound, bound + 1) for bound in bounds)]


def tries(one: Operation) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield for each time and number of an operation the name of the field, the value, and the request."""
    schema = one.schema()
    body: Any = None if schema is None else valid(one.document, schema)
    claims = one.said["operationId"] == "claims_create"
    if claims:
        # Nobody is to wait for work that does not come.
        body["wait"] = 0
    for path, leaf, around in leaves(one.document, schema or {}, body):
        for value in values_of(leaf):
            if claims and path == ("wait",) and 1 < value < 2**31:
                continue
            content = json.dumps(put(around, path, value)).encode()
            yield str(path[-1]), value, {"content": content, "headers": {"Content-Type": "application/json"}}
    for parameter in one.said.get("parameters", ()):
        for form in forms(one.document, parameter.get("schema", {})) if parameter["in"] == "query" else ():
            if form.get("format") == "date-time" or form.get("type") in ("integer", "number"):
                for value in values_of(form):
                    extra = {} if body is None else {"json": body}
                    yield parameter["name"], value, {"params": {parameter["name"]: str(value)}, **extra}


TIMED = [one for one in OPERATIONS if next(tries(one), None)]


async def ended_job(api: httpx.AsyncClient, **fields: Any) -> str:
    job_id = str((await api.post("/v1/jobs", json={"type": "t", "queue": "times", **fields})).json()["id"])
    assert (await api.post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
    return job_id


@pytest.mark.parametrize("one", TIMED, ids=map(name_of, TIMED))
async def test_time_or_length_is_taken_or_refused_by_name(api: httpx.AsyncClient, one: Operation) -> None:
    url = one.url.replace(UNKNOWN, await ended_job(api))
    wrong = []
    for field, value, request in tries(one):
        answer = await api.request(one.method, url, **request)
        refused = answer.status_code in (400, 422)
        if answer.status_code >= 500 or (refused and field not in answer.text):
            wrong.append(f"{field}={value!r}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong[:20])


def test_every_document_with_times_or_lengths_is_walked() -> None:
    walked = {(one.said["operationId"], field) for one in TIMED for field, _, _ in tries(one)}
    assert {
        ("jobs_create", "scheduled_at"), ("jobs_create", "expires_at"), ("jobs_create", "delay_seconds"),
        ("jobs_create", "lease_seconds"), ("jobs_create_batch", "expires_at"), ("jobs_list", "created_before"),
        ("jobs_cancel_many", "created_after"), ("jobs_rerun_many", "created_before"), ("keys_create", "expires_at"),
        ("keys_set_expiry", "expires_at"), ("queues_put", "seconds"), ("queues_put", "max_delay_seconds"),
        ("claims_create", "lease_seconds"), ("jobs_report", "lease_seconds"), ("jobs_fail", "retry_after_seconds"),
        ("reports_create", "retry_after_seconds"), ("jobs_wait", "wait"), ("immuta_jobs_statuses", "pollInterval"),
    } <= walked, sorted(walked)  # fmt: skip


async def answers(api: httpx.AsyncClient, job_id: str) -> dict[str, str]:
    """Read everything that shows a job, and every list."""
    found = {
        "statuses": (await api.post("/jobs/statuses", json={"jobIds": [job_id]})).text,
        "stream": (await api.get(f"/v1/jobs/{job_id}/stream")).text,
    }
    for one in OPERATIONS:
        # The stream of all events has no end; the one of an ended job is read above.
        if one.method == "get" and not one.said["operationId"].endswith("_stream"):
            found[name_of(one)] = (await api.get(one.url.replace(UNKNOWN, job_id))).text
    return found


async def test_job_without_a_deadline_shows_none_however_it_was_made(start_service: StartService) -> None:
    """The service is one of its own, so that nobody else's far times are in its lists."""
    service = await start_service()
    async with service.client() as api:
        made = {
            "create": await api.post("/v1/jobs", json={"type": "t"}),
            "null": await api.post("/v1/jobs", json={"type": "t", "expires_at": None}),
            "claimed": await api.post("/v1/jobs", json={"type": "t", "engine": "e", "claim": {"worker": "w"}}),
            "captain": await api.post("/v2/collections/c/index/url", json={"url": "http://x"}),
            "docent": await api.post("/rest/c/agent_runs", content=b'{"agent_runs": []}'),
            "llamacloud": await api.post("/api/v1/beta/batch-processing", json={"job_config": {}, "item_ids": ["a"]}),
        }
        ids = {name: answer.json().get("id") or answer.json()["job_id"] for name, answer in made.items()}
        batch = await api.post("/v1/jobs/batch", json={"jobs": [{"type": "t"}]})
        ids["batch"] = batch.json()["results"][0]["job"]["id"]
        assert (await api.post("/v1/jobs/cancel", json={"status": ["pending"]})).json()["changed"] == len(ids) - 1
        ids["rerun"] = (await api.post(f"/v1/jobs/{ids['create']}/rerun")).json()["id"]
        ids["fifthelement"] = (await api.post(f"/jobs/{ids['null']}/rerun")).json()["data"]["id"]
        assert (await api.post("/v1/jobs/rerun", json={"type": ["t"]})).json()["changed"] == 1
        assert (await api.post("/v1/claims", json={"worker": "w", "max": 1})).json()["jobs"]
        for job_id in ids.values():
            assert (await api.get(f"/v1/jobs/{job_id}")).json()["expires_at"] is None
        for answer in (*made.values(), batch):
            assert not STANDS_FOR_NONE.search(answer.text), answer.text
        for what, text in (await answers(api, ids["create"])).items():
            assert not STANDS_FOR_NONE.search(text), f"{what}: {text}"
        page = (await api.get("/v1/jobs")).json()["jobs"]
        assert {job["expires_at"] for job in page} == {None}
        assert len(page) == len(ids) + 1


async def test_deadline_behind_the_end_of_all_times_is_none_in_a_rerun(api: httpx.AsyncClient) -> None:
    far = await ended_job(api, expires_at=LAST)
    near = await ended_job(api, expires_at="2100-01-01T00:00:00Z")
    assert (await api.post(f"/v1/jobs/{far}/rerun")).json()["expires_at"] is None
    assert (await api.post(f"/v1/jobs/{near}/rerun")).json()["expires_at"].startswith("2100-01-01T00:0")


async def test_far_times_spoil_no_call_about_many_jobs(start_service: StartService) -> None:
    service = await start_service()
    async with service.client() as api:
        rows = [
            {"type": "t", **({field: moment} if isinstance(moment, str) else {})}
            for moment in (*TIMES, None)
            for field in ("scheduled_at", "expires_at")
        ]
        results = (await api.post("/v1/jobs/batch", json={"jobs": rows})).json()["results"]
        taken = [row["job"]["id"] for row in results if row.get("job")]
        assert all(row.get("job") or row["problem"]["errors"] for row in results)
        assert 6 <= len(taken) < len(rows)
        await execute(service, "UPDATE jobs SET expires_at = 'infinity' WHERE id = $1", uuid.UUID(taken[-1]))
        for ended in (len(taken), 2 * len(taken)):
            assert (await api.post("/v1/jobs/cancel", json={"type": ["t"]})).json()["matched"] <= len(taken)
            rerun = (await api.post("/v1/jobs/rerun", json={"type": ["t"]})).json()
            # Each has been rerun once before at most, and that rerun is over.
            assert (rerun["matched"], rerun["changed"]) == (ended, ended)


async def execute(service: ServiceProcess, statement: str, *arguments: Any) -> None:
    """Put into the database what clients could store before this version."""
    connection = await asyncpg.connect(asyncpg_dsn(service.database_url))
    await connection.execute(statement, *arguments)
    await connection.close()


RETRIES = [
    {"delay_seconds": delay, "factor": factor, "max_delay_seconds": most}
    for delay in (0, 5e-324, 1e-310, 86_400)
    for factor in (1, 1.0000000000000002, 100)
    for most in (0, 5e-324, 604_800)
]


async def test_shortest_and_longest_retries_leases_and_rests_are_kept(api: httpx.AsyncClient, queue: str) -> None:
    rows = [{"type": "t", "queue": queue, "retry": retry, "max_attempts": 1000} for retry in RETRIES]
    await api.post("/v1/jobs/batch", json={"jobs": rows})
    claim = {"worker": "w", "queues": [queue], "max": 100, "lease_seconds": 86_400}
    jobs = (await api.post("/v1/claims", json=claim)).json()["jobs"]
    assert len(jobs) == len(RETRIES)
    for job, rest in zip(jobs, itertools.cycle([None, 0, 5e-324, 604_800]), strict=False):
        token = job["lease"]["token"]
        report = await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token, "lease_seconds": 86_400})
        assert report.status_code == 200, report.text
        body = {"token": token, "code": "c", "message": "m", "retry_after_seconds": rest}
        failed = await api.post(f"/v1/jobs/{job['id']}/fail", json=body)
        assert (failed.status_code, failed.json()["status"]) == (200, "retrying"), failed.text


async def test_key_that_ends_at_the_last_moment_or_later_works(api: httpx.AsyncClient, service: ServiceProcess) -> None:
    made = (await api.post("/v1/keys", json={"name": "far", "scopes": ["read"], "expires_at": LAST})).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert made["expires_at"] == "9999-12-31T23:59:58.999Z"
    assert (await api.get("/v1/jobs", headers=headers)).status_code == 200

    endless = (await api.post("/v1/keys", json={"name": "endless", "scopes": ["read"]})).json()
    await execute(service, "UPDATE keys SET expires_at = 'infinity' WHERE id = $1", endless["id"])
    headers = {"Authorization": f"Bearer {endless['key']}"}
    assert (await api.get("/v1/jobs", headers=headers)).status_code == 200
    assert (await api.get(f"/v1/keys/{endless['id']}")).json()["expires_at"] is None
    login = await api.post("/bim/apikey/authenticate", json={"apikey": endless["key"]})
    assert (login.status_code, login.json()["tokenExpiration"]) == (200, "2199-12-31T23:59:59.000Z")
