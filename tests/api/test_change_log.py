"""What a running service logs of changes and of refused keys, read from its standard error."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import document
from app.core.guesses import WRONG_KEYS_ALLOWED
from app.core.keys import MAX_KEY_LENGTH
from app.domain.audit import Action
from tests.conftest import StartService
from tests.service_process import API_KEY, ServiceProcess

RECORDED_TAGS = {"Keys", "Queues", "Projects"}
RECORDED_BESIDES = {"jobs_cancel_many", "jobs_rerun_many"}


def lines_of(log: Path) -> list[dict[str, Any]]:
    """The lines that are JSON; what is said to people stands between them."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


async def line_of(log: Path, request_id: str) -> dict[str, Any]:
    """The line about a request."""
    async with asyncio.timeout(10):
        while True:
            found = [line for line in lines_of(log) if line.get("request_id") == request_id]
            if found:
                [line] = found
                return line
            await asyncio.sleep(0.02)


def unsafe_operations() -> set[str]:
    return {
        operation["operationId"]
        for operations in document.openapi()["paths"].values()
        for method, operation in operations.items()
        if method != "get"
        and (RECORDED_TAGS.intersection(operation["tags"]) or operation["operationId"] in RECORDED_BESIDES)
    }


def test_every_unsafe_operation_on_keys_queues_and_projects_is_an_action_of_the_record() -> None:
    assert {action.value for action in Action} == unsafe_operations()


@pytest.mark.parametrize("action", list(Action))
async def test_every_change_is_a_line(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str, action: Action
) -> None:
    assert (await api.post("/v1/jobs", json={"type": "t", "queue": queue})).status_code == 201
    if action in {Action.JOBS_RERUN_MANY, Action.QUEUES_DELETE}:
        assert (await api.post("/v1/jobs/cancel", json={"queue": [queue]})).status_code == 200
    if action is Action.QUEUES_DELETE:
        assert (await api.put(f"/v1/queues/{queue}", json={"concurrency_limit": 1})).status_code == 200
    made = (await api.post("/v1/keys", json={"name": "changed by a test", "scopes": ["read"]})).json()
    body, target = {
        Action.KEYS_CREATE: ({"name": queue, "scopes": ["read"], "queues": ["q"]}, None),
        Action.KEYS_SET_EXPIRY: ({"expires_at": "2999-01-01T00:00:00Z"}, made["id"]),
        Action.KEYS_REVOKE: (None, made["id"]),
        # About the key itself that asks for one.
        Action.SESSIONS_CREATE_CODE: (None, None),
        Action.PROJECTS_CREATE: ({"name": queue}, None),
        Action.QUEUES_PUT: ({"retention": {"seconds": 60}}, queue),
        Action.QUEUES_PAUSE: (None, queue),
        Action.QUEUES_RESUME: (None, queue),
        Action.QUEUES_DELETE: (None, queue),
        Action.JOBS_CANCEL_MANY: ({"queue": [queue]}, {"queues": [queue]}),
        Action.JOBS_RERUN_MANY: ({"queue": [queue]}, {"queues": [queue]}),
    }[action]
    [(method, path)] = [
        (method, path)
        for path, operations in document.openapi()["paths"].items()
        for method, operation in operations.items()
        if operation["operationId"] == action
    ]
    path = path.replace("{key_id}", made["id"]).replace("{queue}", queue)
    request_id = f"change-{uuid.uuid4()}"
    answer = await api.request(method, path, json=body, headers={"X-Request-ID": request_id})
    assert answer.is_success, answer.text
    line = await line_of(service.log, request_id)
    assert (line["message"], line["level"], line["action"]) == ("changed", "info", action)
    assert (line["by_key_name"], line["address"]) == ("first key", "127.0.0.1")
    assert line["by_key_id"].isalnum()
    assert line["by_project_id"] == made["project_id"]
    if action is Action.SESSIONS_CREATE_CODE:
        assert line["target"] == line["by_key_id"]
        assert answer.json()["code"] not in service.log.read_text()
    else:
        assert line["target"] == (answer.json()["id"] if target is None else target)
    if action not in {Action.QUEUES_RESUME, Action.SESSIONS_CREATE_CODE}:
        assert line["changes"], "a resumed queue was not paused before"
    whole = service.log.read_text()
    assert made["key"] not in whole
    assert action is not Action.KEYS_CREATE or answer.json()["key"] not in whole


async def test_first_start_says_what_it_made_and_not_the_key(start_service: StartService) -> None:
    first = await start_service()
    again = await start_service()
    actions = [line["action"] for line in lines_of(first.log) if line.get("message") == "changed"]
    assert actions == ["projects_create", "keys_create"]
    assert [line for line in lines_of(again.log) if line.get("message") == "changed"] == []
    assert API_KEY not in first.log.read_text()


async def test_refused_keys_are_counted_whatever_is_wrong_with_them(start_service: StartService) -> None:
    service = await start_service()
    async with service.client() as operator:
        keys = ["wrong", "jt_AAAAAAAAAAAA_wrong", "x" * (MAX_KEY_LENGTH + 1)]
        for end in ("revoked", "expired"):
            made = (await operator.post("/v1/keys", json={"name": end, "scopes": ["read"]})).json()
            keys.append(made["key"])
            path, long_ago = f"/v1/keys/{made['id']}", {"expires_at": "2001-01-01T00:00:00Z"}
            gone = await (operator.delete(path) if end == "revoked" else operator.put(path, json=long_ago))
            assert gone.is_success
        for key in keys:
            headers = {"Authorization": f"Bearer {key}"}
            assert (await operator.get("/v1/jobs", headers=headers)).status_code == 401
        log_in = await operator.post("/bim/apikey/authenticate", json={"apikey": "wrong"})
        assert log_in.status_code == 401
        # Without a key nothing is refused that somebody guessed: a vendor's client begins so.
        assert (await operator.get("/v1/jobs", headers={"Authorization": ""})).status_code == 401
        statuses = []
        for _ in range(WRONG_KEYS_ALLOWED + 5):
            headers = {"Authorization": f"Bearer {uuid.uuid4()}"}
            statuses.append((await operator.get("/v1/jobs", headers=headers)).status_code)
    wrong, throttled = statuses.count(401), statuses.count(429)
    assert wrong > 0
    assert throttled > 0
    assert len([line for line in lines_of(service.log) if line.get("message") == "keys refused"]) == 1
    assert service.stop() == 0
    lines = [line for line in lines_of(service.log) if line.get("message") == "keys refused"]
    assert [(line["level"], line["address"]) for line in lines] == [("warning", "127.0.0.1")] * 2
    assert [(line["wrong"], line["throttled"]) for line in lines] == [(1, 0), (len(keys) + wrong, throttled)]
    said = service.log.read_text()
    assert not any(key in said for key in keys[1:])
