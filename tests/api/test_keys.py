"""What a key may do: scopes and queues, with every pair of route and key tried on the application in memory."""

import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from app.api import document
from app.core.key_holds import KeyHolds
from app.db.engine import Database
from app.domain.idempotency import Done
from app.domain.job import ClaimedJob, ClaimFilter
from app.domain.principal import Principal, Scope
from app.main import create_app
from app.web.auth import scopes_of
from app.web.deps import Services
from tests.api.route_list import routes

Door = Callable[[Principal], AbstractAsyncContextManager[httpx.AsyncClient]]
OPERATIONS = [
    (min(route.methods or ()), re.sub(r"\{\w+\}", "nonsense", route.path), scopes_of(route.dependant))
    for router in document.ROUTERS
    for route in routes(router)
]


def key(*scopes: Scope, queues: frozenset[str] | None = None) -> Principal:
    return Principal(uuid.uuid4(), "k", "a key", frozenset(scopes), queues)


class Wanted:
    """Notes what a claim asked the core for."""

    def __init__(self) -> None:
        self.filters: list[ClaimFilter] = []

    async def claim(self, wanted: ClaimFilter, **_: Any) -> Done[list[ClaimedJob]]:
        self.filters.append(wanted)
        return Done([])


@pytest.fixture
def wanted() -> Wanted:
    return Wanted()


@pytest.fixture
def door(wanted: Wanted) -> Door:
    """The application, entered with a key of one's choice. Nothing but keys and claims is behind it."""

    @asynccontextmanager
    async def door(principal: Principal) -> AsyncIterator[httpx.AsyncClient]:
        async def authenticate(*_: str) -> Principal:
            return principal

        keys = SimpleNamespace(authenticate=authenticate, remembered=lambda _: None)
        holds = KeyHolds(cast("Database", None))
        app = create_app(cast("Services", SimpleNamespace(keys=keys, claims=wanted, holds=holds)))
        headers = {"Authorization": "Bearer any"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://app", headers=headers
        ) as client:
            yield client

    return door


@pytest.mark.parametrize("held", [Scope.READ, Scope.SUBMIT, Scope.WORK, Scope.ADMIN, Scope.OPERATOR])
@pytest.mark.parametrize(("method", "path", "scopes"), [row for row in OPERATIONS if row[2]])
async def test_key_without_the_scope_is_refused(
    door: Door, held: Scope, method: str, path: str, scopes: frozenset[Scope]
) -> None:
    principal = key(held)
    async with door(principal) as client:
        answer = await client.request(method, path, content=b"not JSON", headers={"Content-Type": "application/json"})
    refused = answer.status_code == 403 and "lacks the scope" in answer.json()["detail"]
    assert refused is not any(map(principal.may, scopes))
    # What lies behind the door does not matter here, and most of it is not even there.
    assert answer.status_code != 401


async def test_key_of_some_queues(door: Door, wanted: Wanted) -> None:
    async with door(key(Scope.SUBMIT, Scope.WORK, queues=frozenset({"b", "a"}))) as client:
        other = await client.post("/v1/jobs", json={"type": "t", "queue": "c"})
        assert (other.status_code, other.json()["code"]) == (403, "forbidden")
        assert (await client.post("/v1/claims", json={"worker": "w", "queues": ["a", "c"]})).status_code == 403
        assert (await client.post("/v1/claims", json={"worker": "w"})).json() == {"jobs": []}
        assert (await client.post("/v1/claims", json={"worker": "w", "queues": ["b"]})).json() == {"jobs": []}
    assert [asked.queues for asked in wanted.filters] == [("a", "b"), ("b",)]


async def test_job_created_claimed_needs_the_right_to_work(door: Door) -> None:
    async with door(key(Scope.SUBMIT)) as client:
        answer = await client.post("/v1/jobs", json={"type": "t", "claim": {"worker": "w"}})
    assert answer.status_code == 403


async def test_crash_answers_with_a_problem_and_its_id(door: Door) -> None:
    async with door(key(Scope.SUBMIT)) as client:
        # There is no `jobs` behind this door.
        answer = await client.post("/v1/jobs", json={"type": "t"}, headers={"X-Request-ID": "crash-1"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["instance"] == answer.headers["x-request-id"] == "crash-1"
