"""A route with a deadline answers by it, whatever its handler waits for."""

import asyncio

import httpx
from fastapi import APIRouter, FastAPI

from app.web.auth import public
from app.web.problems import problem_response
from app.web.routing import guarded_route


async def test_handler_that_hangs_is_answered_as_unavailable() -> None:
    left = asyncio.Event()
    router = APIRouter(route_class=guarded_route(render=problem_response, deadline_seconds=0.01))

    @router.get("/", dependencies=[public])
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert left.is_set()
