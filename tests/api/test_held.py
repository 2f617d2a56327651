"""Answers that are long in coming, and clients that do not stay for them."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from app.core.key_holds import KeyHolds
from app.domain.errors import UnauthorizedError
from app.domain.held import ONE_WAIT
from app.domain.principal import KeyChange
from app.web.disconnect import while_connected
from app.web.held_response import SPACE_SECONDS, held_json_response
from tests.api.conftest import Create
from tests.held_state import CALLER, held_state
from tests.service_process import ServiceProcess

SCOPE: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}


class Client:
    """One that stays until it leaves."""

    def __init__(self, space_seconds: float = SPACE_SECONDS) -> None:
        self.left = asyncio.Event()
        self.sent: list[MutableMapping[str, Any]] = []
        state = held_state(space_seconds)
        self.holds: KeyHolds = state["services"].holds
        self.request = Request({**SCOPE, "state": state}, self.receive, self.send)

    def end_key(self) -> None:
        self.holds.keys_changed([KeyChange(CALLER.ref, ended=True)])

    async def receive(self) -> MutableMapping[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)


class Work:
    """A wait that ends when it is told to, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.failing = False
        self.cancelled = False

    async def __call__(self) -> dict[str, int]:
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.failing:
            raise ConnectionError
        return {"n": 1}


def body(value: dict[str, int]) -> bytes:
    return json.dumps(value).encode()


async def test_short_wait_is_a_plain_response() -> None:
    client, work = Client(), Work()
    work.done.set()
    response = await held_json_response(client.request, work(), body, ONE_WAIT)
    assert (response.status_code, response.body) == (200, b'{"n": 1}')
    assert response.headers["content-length"] == "8"


async def begun(client: Client, work: Work) -> asyncio.Task[Response]:
    """Return the task of a wait for which some spaces were sent."""
    waiting = asyncio.create_task(held_json_response(client.request, work(), body, ONE_WAIT))
    while len(client.sent) < 4:
        await asyncio.sleep(0)
    return waiting


async def test_long_wait_sends_spaces_before_its_json() -> None:
    client, work = Client(0.01), Work()
    waiting = await begun(client, work)
    work.done.set()
    await (await waiting)(SCOPE, client.receive, client.send)
    assert client.sent[0]["status"] == 200
    assert b"content-length" not in dict(client.sent[0]["headers"])
    whole = b"".join(message["body"] for message in client.sent[1:])
    assert whole.startswith(b"   ")
    assert json.loads(whole) == {"n": 1}
    assert client.sent[-1]["more_body"] is False


@pytest.mark.parametrize("steps", range(4))
async def test_no_space_follows_the_end_though_one_was_due(steps: int) -> None:
    client, work = Client(0), Work()
    waiting = await begun(client, work)
    for _ in range(steps):
        await asyncio.sleep(0)
    work.done.set()
    await (await waiting)(SCOPE, client.receive, client.send)
    for _ in range(100):
        await asyncio.sleep(0)
    assert client.sent[-1]["more_body"] is False
    assert json.loads(b"".join(message["body"] for message in client.sent[1:])) == {"n": 1}


async def test_long_wait_whose_client_left_is_cancelled() -> None:
    client, work = Client(0.01), Work()
    waiting = await begun(client, work)
    client.left.set()
    await (await waiting)(SCOPE, client.receive, client.send)
    assert work.cancelled
    assert client.sent[-1]["more_body"] is True


async def test_error_after_the_first_space_invents_nothing() -> None:
    client, work = Client(0.01), Work()
    work.failing = True
    waiting = await begun(client, work)
    work.done.set()
    response = await waiting
    with pytest.raises(ConnectionError):
        await response(SCOPE, client.receive, client.send)
    assert all(message.get("more_body", True) for message in client.sent)


async def test_error_before_the_first_space_is_an_error() -> None:
    client, work = Client(), Work()
    work.failing = True
    work.done.set()
    with pytest.raises(ConnectionError):
        await held_json_response(client.request, work(), body, ONE_WAIT)


async def test_wait_ends_with_its_client() -> None:
    client, work = Client(), Work()
    waiting = asyncio.create_task(while_connected(client.request, work(), ONE_WAIT))
    await asyncio.sleep(0)
    client.left.set()
    with pytest.raises(ClientDisconnect):
        await waiting
    assert work.cancelled


async def test_block_that_goes_on_without_its_client_keeps_what_it_came_to() -> None:
    client, work = Client(), Work()

    async def stubborn() -> str:
        try:
            await work()
        except asyncio.CancelledError:
            return "given back"
        return "taken"

    waiting = asyncio.create_task(while_connected(client.request, stubborn(), ONE_WAIT))
    await asyncio.sleep(0)
    client.left.set()
    assert await waiting == "given back"
    assert not waiting.cancelling()


async def test_wait_ends_with_its_key() -> None:
    client, work = Client(), Work()
    waiting = asyncio.create_task(while_connected(client.request, work(), ONE_WAIT))
    await asyncio.sleep(0)
    client.end_key()
    # Who leaves at the same moment is not cancelled a second time.
    client.left.set()
    with pytest.raises(UnauthorizedError):
        await waiting
    assert work.cancelled
    assert not waiting.cancelling()
    assert not len(client.holds)


async def test_key_that_ends_after_the_wait_changes_nothing() -> None:
    client, work = Client(), Work()
    work.done.set()
    assert await while_connected(client.request, work(), ONE_WAIT) == {"n": 1}
    assert not len(client.holds)


async def test_who_else_cancels_a_wait_is_obeyed() -> None:
    client, work = Client(), Work()
    waiting = asyncio.create_task(while_connected(client.request, work(), ONE_WAIT))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.cancelled


async def test_worker_that_left_while_claiming_gets_no_job(
    service: ServiceProcess, create: Create, api: Any, queue: str
) -> None:
    claim = json.dumps({"worker": "gone", "queues": [queue], "wait": 50}).encode()
    head = f"POST /v1/claims HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {service.api_key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(claim)}\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(head.encode() + claim)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    job = await create()
    answer = await api.post("/v1/claims", json={"worker": "here", "queues": [queue], "wait": 20})
    [claimed] = answer.json()["jobs"]
    assert (claimed["id"], claimed["worker"]) == (job["id"], "here")
