"""What every request has in common: one clock, one set of headers, one treatment of HEAD."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry

from app.core.wait_clock import timed_wait
from app.web.auth import public
from app.web.deps import CoreServices, Services
from app.web.error_handlers import install
from app.web.front import Front
from app.web.http_metrics import HttpMetrics
from app.web.problems import problem_response
from app.web.route_table import RouteTable
from app.web.routing import guarded_route

REQUESTS, WAITS = "jobtrack_http_request_duration_seconds", "jobtrack_long_poll_wait_seconds"
Message = MutableMapping[str, Any]


class Fronted:
    """A front over some routes, and what was sent and recorded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.go_on = asyncio.Event()
        self.reached = asyncio.Event()
        self.sent: list[Message] = []
        router = APIRouter(route_class=guarded_route(render=problem_response), dependencies=[public])
        router.add_api_route("/plain", self._plain)
        router.add_api_route("/stream", self._stream)
        router.add_api_route("/waits", self._waits)
        router.add_api_route("/services", self._services)
        app = FastAPI()
        app.include_router(router)
        app.add_api_route("/broken", self._broken)
        install(app, problem_response, {})
        self.services = cast("Services", SimpleNamespace(name="ours"))
        self.front = Front(app, RouteTable([router]), self.services, HttpMetrics(self.registry))

    async def _plain(self) -> Response:
        return Response("hello", headers={"X-Own": "1"})

    async def _stream(self) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            self.reached.set()
            await self.go_on.wait()
            yield b"last"

        return StreamingResponse(pieces())

    async def _waits(self) -> Response:
        with timed_wait():
            self.reached.set()
            await self.go_on.wait()
        return Response()

    async def _services(self, services: CoreServices) -> Response:
        return Response(cast("Any", services).name)

    async def _broken(self) -> Response:
        raise ZeroDivisionError

    async def call(self, path: str, method: str = "GET") -> dict[str, Any]:
        """Send a request; returns the server's own scope of it."""
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
        }

        async def receive() -> Message:
            await asyncio.Event().wait()
            return {}

        async def send(message: Message) -> None:
            self.sent.append(message)

        await self.front(scope, receive, send)
        return scope

    def count(self, name: str, **labels: str) -> float:
        """How many requests a histogram has counted."""
        return self.registry.get_sample_value(f"{name}_count", labels) or 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(message["body"] for message in self.sent[1:])


@pytest.fixture
async def fronted() -> Fronted:
    return Fronted()


async def test_clock_stops_when_the_head_of_the_answer_goes_out(fronted: Fronted) -> None:
    asking = asyncio.create_task(fronted.call("/stream"))
    await fronted.reached.wait()
    assert fronted.count(REQUESTS, method="GET", route="/stream", status="2xx") == 1
    fronted.go_on.set()
    await asking
    assert fronted.count(REQUESTS, method="GET", route="/stream", status="2xx") == 1
    assert fronted.body == b"firstlast"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_request_that_is_cancelled_is_recorded_with_its_wait(fronted: Fronted, method: str) -> None:
    asking = asyncio.create_task(fronted.call("/waits", method))
    await fronted.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert fronted.sent == []
    # As the server answers it.
    assert fronted.count(REQUESTS, method="GET", route="/waits", status="5xx") == 1
    assert fronted.count(WAITS, route="/waits") == 1


async def test_request_that_fails_behind_the_front_is_recorded_and_has_an_id(fronted: Fronted) -> None:
    with pytest.raises(ZeroDivisionError):
        await fronted.call("/broken")
    assert fronted.count(REQUESTS, method="GET", route="/broken", status="5xx") == 1
    assert fronted.sent[0]["status"] == 500
    assert fronted.headers["x-request-id"] in fronted.body.decode()


@pytest.mark.parametrize("path", ["/plain", "/stream", "/nothing", "/broken"])
async def test_every_answer_has_the_common_headers(fronted: Fronted, path: str) -> None:
    fronted.go_on.set()
    try:
        await fronted.call(path)
    except ZeroDivisionError:
        assert path == "/broken"
    assert fronted.headers["x-request-id"]
    assert fronted.headers["cache-control"] == "no-store"
    assert fronted.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/plain", "/stream", "/nothing"])
async def test_head_is_the_same_answer_without_its_body(fronted: Fronted, path: str) -> None:
    fronted.go_on.set()
    await fronted.call(path)
    whole = fronted.headers
    [head, *rest] = fronted.sent
    fronted.sent = []
    await fronted.call(path, "HEAD")
    assert fronted.sent[0]["status"] == head["status"]
    assert {**fronted.headers, "x-request-id": whole["x-request-id"]} == whole
    assert fronted.body == b""
    assert len(fronted.sent) == 1 + len(rest)


async def test_server_still_sees_that_the_method_is_head(fronted: Fronted) -> None:
    assert (await fronted.call("/plain", "HEAD"))["method"] == "HEAD"


async def test_route_gets_the_services_of_its_front(fronted: Fronted) -> None:
    await fronted.call("/services")
    assert fronted.body == b"ours"
