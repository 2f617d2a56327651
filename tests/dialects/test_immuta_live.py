"""Immuta's clients against the running service: the log-in, the statuses, and the wait."""

import asyncio
import json
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.dialects.conftest import MakeJob, Work
from tests.inside_service import serve_inside

HOSTILE_BODIES = [
    b"",
    b"null",
    b"[]",
    b'"jobIds"',
    b"{",
    b"\xff\xfe",
    b'{"jobIds": ["\\ud800"]}',
    b'{"jobIds": ["\\u0000"]}',
    b'{"jobIds": [NaN]}',
    b'{"jobIds": {"a": 1}}',
    b'{"jobIds": [null]}',
    b'{"jobIds": [], "wait": 1e400}',
    b'{"jobIds": [], "wait": 99999999999999999999}',
    b'{"jobIds": ' + b"[" * 3000 + b"]" * 3000 + b"}",
]


def assert_error(answer: httpx.Response, status: int) -> dict[str, Any]:
    """An error in the vendor's shape."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    wanted = {"statusCode", "error", "message"} | ({"validation"} if status == 422 else set())
    assert set(body) == wanted
    assert body["statusCode"] == status
    assert isinstance(body["error"], str)
    assert isinstance(body["message"], str)
    return body


async def ask(client: httpx.AsyncClient, job_ids: list[str], **fields: Any) -> dict[str, Any]:
    answer = await client.post("/jobs/statuses", json={"jobIds": job_ids, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("form", [False, True])
async def test_the_client_s_first_call_fails_then_it_logs_in(service: Any, make_job: MakeJob, form: bool) -> None:
    job = await make_job()
    payload = {"jobIds": [job["id"]], "wait": 0, "pollInterval": 1}
    async with httpx.AsyncClient(base_url=service.url) as client:
        assert_error(await client.post("/jobs/statuses", json=payload), 401)
        key = {"apikey": service.api_key}
        path = "/bim/apikey/authenticate"
        answer = await (client.post(path, data=key) if form else client.post(path, json=key))
        assert answer.status_code == 200
        said = answer.json()
        assert set(said) == {"authenticated", "token", "tokenExpiration"}
        assert said["authenticated"] is True
        headers = {"Authorization": f"Bearer {said['token']}"}
        again = await client.post("/jobs/statuses", json=payload, headers=headers)
        assert again.json() == {job["id"]: {"id": job["id"], "state": "created", "output": None}}


async def test_the_bare_key_is_enough(service: Any) -> None:
    async with httpx.AsyncClient(base_url=service.url, headers={"Authorization": service.api_key}) as client:
        assert await ask(client, []) == {}


@pytest.mark.parametrize("header", ["", "Bearer", "wrong", "Basic eDp5", "a b c"])
async def test_wrong_keys_are_unauthorized(service: Any, header: str) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        # Before the body is read: a hostile one does not matter.
        answer = await client.post("/jobs/statuses", content=b"{", headers={"Authorization": header})
        assert_error(answer, 401)


async def test_a_wrong_log_in_is_unauthorized_and_a_malformed_one_says_where(service: Any) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        path = "/bim/apikey/authenticate"
        assert_error(await client.post(path, json={"apikey": "wrong"}), 401)
        assert_error(await client.post(path, data={"apikey": "x" * 5000}), 401)
        bodies: list[Any] = [{}, {"apikey": None}, {"apikey": ""}, {"apikey": 5}, []]
        for body in bodies:
            assert assert_error(await client.post(path, json=body), 422)["validation"]
        assert_error(await client.post(path, content=b"{"), 400)
        assert_error(await client.post(path, content=b"x" * 100_000), 413)
        assert_error(await client.post(path, content=b"apikey=%ff", headers={"Content-Type": "text/x"}), 400)


async def test_states_and_outputs_of_many_jobs_in_one_call(
    api: httpx.AsyncClient, make_job: MakeJob, work: Work
) -> None:
    waiting, held, told, wrote, broken = [(await make_job())["id"] for _ in range(5)]
    await work.claim(held)
    await work.finish(told, result={"rows": 3})
    await work.finish(wrote, result="all good")
    await work.say(broken, "fail", await work.claim(broken), code="boom", message="it broke", retryable=False)
    unknown = [str(uuid.uuid4()), "cefb58a0", "", told.upper()]
    found = await ask(api, [waiting, held, told, wrote, broken, told, *unknown])
    assert {key: (entry["id"], entry["state"]) for key, entry in found.items()} == {
        waiting: (waiting, "created"),
        held: (held, "active"),
        told: (told, "completed"),
        wrote: (wrote, "completed"),
        broken: (broken, "failed"),
    }
    assert (found[waiting]["output"], found[wrote]["output"]) == (None, "all good")
    assert json.loads(found[told]["output"]) == {"rows": 3}
    assert json.loads(found[broken]["output"]) == {"error": {"code": "boom", "message": "it broke"}}


@pytest.mark.parametrize("wait", [20, -1])
async def test_a_wait_ends_when_the_last_job_has(
    api: httpx.AsyncClient, make_job: MakeJob, work: Work, wait: int
) -> None:
    first, second = (await make_job())["id"], (await make_job())["id"]
    waiting = asyncio.create_task(ask(api, [first, second, str(uuid.uuid4())], wait=wait, pollInterval=5))
    await work.finish(first, result="one")
    # Half of it is no end.
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    begun = time.monotonic()
    await work.finish(second, result="two")
    found = await waiting
    # Woken, not polled: well below the interval.
    assert time.monotonic() - begun < 3
    assert {entry["output"] for entry in found.values()} == {"one", "two"}


async def test_a_wait_that_is_over_tells_how_it_stands(api: httpx.AsyncClient, make_job: MakeJob) -> None:
    job_id = (await make_job())["id"]
    begun = time.monotonic()
    found = await ask(api, [job_id], wait=1)
    assert 0.9 < time.monotonic() - begun < 5
    assert found[job_id]["state"] == "created"


async def test_nothing_to_wait_for_is_answered_at_once(api: httpx.AsyncClient) -> None:
    async with asyncio.timeout(5):
        assert await ask(api, [], wait=-1) == {}
        assert await ask(api, [str(uuid.uuid4()), "no id"], wait=-1, pollInterval=2) == {}


async def test_a_long_wait_sends_spaces_and_then_the_answer(database_url: str) -> None:
    async with serve_inside(database_url, space_seconds=0.1) as service:
        api = service.client
        job_id = (await api.post("/v1/jobs", json={"type": "document_processing"})).json()["id"]
        async with api.stream("POST", "/jobs/statuses", json={"jobIds": [job_id], "wait": -1}) as answer:
            chunks = answer.aiter_raw()
            assert await anext(chunks) == b" "
            assert (answer.status_code, answer.headers["x-accel-buffering"]) == (200, "no")
            await Work(api).finish(job_id, result="late")
            rest = b"".join([chunk async for chunk in chunks])
    assert json.loads(b" " + rest) == {job_id: {"id": job_id, "state": "completed", "output": "late"}}


async def test_limits_of_the_payload(api: httpx.AsyncClient) -> None:
    assert await ask(api, [str(uuid.uuid4()) for _ in range(1000)], wait=2**31 - 1, pollInterval=2**31 - 1) == {}
    for payload in (
        {},
        {"jobIds": "one"},
        {"jobIds": ["x"] * 1001},
        {"jobIds": [], "wait": -2},
        {"jobIds": [], "wait": "1"},
        {"jobIds": [], "wait": 2**31},
        {"jobIds": [], "pollInterval": 0},
        {"jobIds": [], "pollInterval": 1.5},
    ):
        said = assert_error(await api.post("/jobs/statuses", json=payload), 422)
        assert said["validation"][0]["code"]
        assert said["validation"][0]["path"].startswith("/")


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=range(len(HOSTILE_BODIES)))
async def test_hostile_bodies_are_refused_in_the_vendor_s_shape(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/jobs/statuses", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert_error(answer, answer.status_code)


async def test_unknown_routes_and_methods_answer_in_the_vendor_s_shape(api: httpx.AsyncClient) -> None:
    assert_error(await api.get("/bim"), 404)
    assert_error(await api.post("/bim/oauth/token"), 404)
    assert_error(await api.get("/bim/apikey/authenticate"), 405)
    assert_error(await api.delete("/jobs/statuses"), 405)
