"""What a request leaves behind is freed as its last reference goes, not when somebody collects cycles."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError

from app.domain.errors import InvalidError, NotFoundError
from app.domain.held import ONE_WAIT
from app.web.auth import public
from app.web.disconnect import while_connected
from app.web.held_response import held_json_response
from app.web.problems import problem_response
from app.web.routing import guarded_route
from tests.held_state import held_state

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "headers": [],
    "query_string": b"",
}


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def stays() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


async def freed(left: "weakref.ref[Any]") -> bool:
    """Whether it is gone, once the callbacks of its tasks have run."""
    for _ in range(10):
        await asyncio.sleep(0)
    return left() is None


@pytest.mark.parametrize("by", ["while_connected", "held_json_response"])
async def test_wait_that_was_answered_leaves_no_cycle(by: str) -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 1

    async def answer() -> "weakref.ref[Any]":
        request = Request({**SCOPE, "state": held_state(60.0)}, stays)
        if by == "while_connected":
            await while_connected(request, work(), ONE_WAIT)
        else:
            await held_json_response(request, work(), lambda _: b"1", ONE_WAIT)
        return weakref.ref(request)

    # A task as a server makes it: this test's own frame holds nothing of it.
    assert await freed(await asyncio.create_task(answer()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: NotFoundError("There is no such job."),
        lambda: InvalidError("The request is not valid."),
        lambda: HTTPException(400),
        lambda: RequestValidationError([]),
    ],
    ids=["not found", "invalid", "of the framework", "of its validation"],
)
async def test_request_that_was_refused_leaves_no_cycle(make: Callable[[], Exception]) -> None:
    raised: list[weakref.ref[Exception]] = []
    router = APIRouter(route_class=guarded_route(render=problem_response))

    @router.get("/", dependencies=[public])
    async def refuses() -> None:
        error = make()
        raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            # A cycle of the test's own otherwise: the error, its traceback, this frame.
            del error

    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/")).is_client_error
    assert await freed(raised[0])
