"""Errors: one shape, in the promised order, whatever went wrong and wherever."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Request

from app.api.wire import Problem
from app.domain.errors import SlowBodyError
from app.web.body import BodyRules, read_bytes
from app.web.errors import status_of
from tests.service_process import ServiceProcess

UNKNOWN = "/v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057"


def problem(answer: httpx.Response, status: int, code: str) -> Problem:
    """Hold an answer against the one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(answer.json())
    assert (found.status, found.code) == (status, code)
    assert found.type == f"/docs/problems#{code}"
    assert found.instance == answer.headers["x-request-id"]
    return found


async def test_stranger_is_told_how_to_send_a_key(service: ServiceProcess) -> None:
    async with httpx.AsyncClient(base_url=service.url) as stranger:
        answer = await stranger.get(UNKNOWN)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_key_is_checked_before_the_body(service: ServiceProcess) -> None:
    """A stranger gets 401 while its body is still on its way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        b"POST /v1/jobs HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n"
    )
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 401 " in status
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_there(api: httpx.AsyncClient) -> None:
    for path in (UNKNOWN, "/v1/jobs/nonsense", UNKNOWN.upper().replace("/V1/JOBS", "/v1/jobs"), UNKNOWN + "/items"):
        problem(await api.get(path), 404, "not_found")
    for path in ("/v1/jobs/x/rerun", UNKNOWN + "/cancel", UNKNOWN + "/rerun"):
        problem(await api.post(path), 404, "not_found")
    token = {"token": str(uuid.uuid4())}
    for action in ("report", "complete", "release"):
        problem(await api.post(f"{UNKNOWN}/{action}", json=token), 404, "not_found")
        problem(await api.post(f"/v1/jobs/x/{action}", json=token), 404, "not_found")
    for path in ("/v1/nothing", "/nothing%00", UNKNOWN + "/", "/v1//jobs", "/%2e%2e/x"):
        problem(await api.get(path), 404, "not_found")


async def test_wrong_method_names_the_right_ones(api: httpx.AsyncClient) -> None:
    answer = await api.put(UNKNOWN)
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
    answer = await api.get("/v1/claims")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_dialects_answer_their_unknown_paths_in_their_own_shape(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/api/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert "code" not in answer.json()


async def test_body_that_does_not_come_is_given_up() -> None:
    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    with pytest.raises(SlowBodyError) as caught:
        await read_bytes(Request(scope, silence), BodyRules(seconds=0.01))
    assert status_of(caught.value) == 408


async def test_body_of_another_kind(api: httpx.AsyncClient) -> None:
    plain = await api.post("/v1/jobs", content=b'{"type":"x"}', headers={"Content-Type": "text/plain"})
    problem(plain, 415, "unsupported_media_type")
    packed = await api.post("/v1/jobs", json={"type": "x"}, headers={"Content-Encoding": "gzip"})
    problem(packed, 415, "unsupported_media_type")


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_over_the_limit(api: httpx.AsyncClient, chunked: bool) -> None:
    body = json.dumps({"type": "x", "payload": "y" * 10_000_000}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    try:
        answer = await api.post(
            "/v1/jobs", content=chunks() if chunked else body, headers={"Content-Type": "application/json"}
        )
    except (httpx.WriteError, httpx.ReadError):
        return  # the answer came and the connection went while the rest was still being written
    problem(answer, 413, "too_large")


async def test_wrong_fields_are_named_and_not_repeated(api: httpx.AsyncClient) -> None:
    body = {"type": "", "priority": 99999, "queue": 5, "secret-field": "do-not-repeat", "items": [{"key": None}]}
    answer = await api.post("/v1/jobs", json=body)
    found = problem(answer, 422, "invalid")
    assert {error.pointer for error in found.errors} == {
        "/type",
        "/priority",
        "/queue",
        "/secret-field",
        "/items/0/key",
    }
    assert found.detail == f"{found.errors[0].pointer}: {found.errors[0].message} (and 4 more)."
    assert "do-not-repeat" not in answer.text
    assert "99999" not in answer.text


async def test_more_faults_than_are_listed_are_counted(api: httpx.AsyncClient) -> None:
    body = {"type": "x", "items": [{"name": "s3cret" * 80_000}] * 2 + [{}] * 48}
    answer = await api.post("/v1/jobs", json=body)
    found = problem(answer, 422, "invalid")
    assert (len(found.errors), found.detail) == (20, "/items/0/key: Field required (and 51 more).")
    assert "s3cret" not in answer.text


async def test_row_of_a_batch_says_what_is_wrong_with_it(api: httpx.AsyncClient) -> None:
    rows = [{"type": "x", "priority": 99999}, {"type": "x", "payload": "a\0b"}]
    results = (await api.post("/v1/jobs/batch", json={"jobs": rows})).json()["results"]
    assert [row["problem"]["detail"] for row in results] == [
        "/priority: Input should be less than or equal to 32767.",
        "/payload: Text may hold no NUL and no half of a surrogate pair.",
    ]


async def test_request_id_is_echoed_if_it_is_harmless(api: httpx.AsyncClient) -> None:
    assert (await api.get("/livez", headers={"X-Request-ID": "abc-1"})).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 129, "<script>"):
        assert (await api.get("/livez", headers={"X-Request-ID": bad})).headers["x-request-id"] != bad


async def test_head_is_get_without_its_body(api: httpx.AsyncClient) -> None:
    answer = await api.head("/readyz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_slow_garbage_does_not_hurt(service: ServiceProcess) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as raw:
        raw.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        assert b"400" in raw.recv(100)
