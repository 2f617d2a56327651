"""A cursor that no list has given is refused by name, on every operation of every document that takes one.

The operations are found in the documents, so that a new list is attacked from the day on which it is documented. The
seal of a cursor is no secret. One service therefore runs with a seal that anybody can write, as an attacker can write
the real one: what it lets through is judged by the place alone.
"""

import base64
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from app.domain.ids import new_id
from app.web.cursors import write_cursor, write_name_cursor
from tests.api.example_values import forms, valid
from tests.api.operations import NATIVE, OPERATIONS, UNKNOWN, Operation, name_of
from tests.conftest import CreateDatabase
from tests.service_process import ROOT, ServiceProcess

CURSOR = re.compile(r"cursor|page_?token|last-event-id", re.IGNORECASE)
SEAL = bytes(8)
OPEN = "import app.web.cursors; app.web.cursors._seal = lambda place, bound: bytes(8)"

# What is no cursor of any list, however it is spelled.
UNSEALED = (
    "", "A", "AAAA", "=", "====", "null", "-1", "9" * 40, "!" * 32, "é" * 32, "+/" * 16, "A" * 32, "A" * 33, "A" * 65,
    "A" * 5_000, write_cursor(1, "no list") + "=", write_cursor(1, "no list")[:-1], "A" * 16 + " " + "A" * 16,
    write_cursor(0, "no list"), write_cursor(2**63 - 1, "no list"), write_cursor(new_id().int, "no list"),
    write_name_cursor("a name", "no list"), write_name_cursor("a\0b", "queues"), write_name_cursor("x" * 256, "queues"),
)  # fmt: skip
# Places that no list has, whether it goes by numbers, ids, times or names.
PLACES = (
    *(number.to_bytes(16, "big") for number in (2**63, 2**64 + 2**63, 2**127, 2**128 - 1)),
    b"", b"\0", b"a\0b", b"\xff", b"\xed\xa0\x80", b"a\xed\xbf\xbf", b"\xc0\x80", b"x" * 256, "é".encode() * 256,
    b"\0" * 15, b"\0" * 17, b"\0" * 1_000,
)  # fmt: skip
# Of these every list has at least one, so that an open seal is seen to let places through.
REAL = (new_id().bytes, (1).to_bytes(16, "big"), b"a name")


class Spot(NamedTuple):
    """One place of one operation that takes a cursor."""

    operation: Operation
    place: str
    name: str

    @property
    def pointer(self) -> str:
        """How an error names it."""
        return {"query": "?", "body": "/", "header": "header:"}[self.place] + self.name

    def request(self, cursor: str) -> dict[str, Any]:
        """Put a cursor there."""
        schema = self.operation.schema()
        body: Any = None if schema is None else valid(self.operation.document, schema)
        if self.place == "body":
            return {"json": {**body, self.name: cursor}}
        rest = {} if body is None else {"json": body}
        if self.place == "header":
            return {"headers": {self.name.encode(): cursor.encode("latin-1")}, **rest}
        return {"params": {self.name: cursor}, **rest}


def spots() -> Iterator[Spot]:
    """Find every place of every document that takes a cursor."""
    for one in OPERATIONS:
        for parameter in one.said.get("parameters", ()):
            if CURSOR.search(parameter["name"]):
                yield Spot(one, parameter["in"], parameter["name"])
        for form in forms(one.document, one.schema() or {}):
            for name in filter(CURSOR.search, form.get("properties", {})):
                yield Spot(one, "body", name)


SPOTS = list(spots())
NAMES = [f"{name_of(spot.operation)} {spot.name}" for spot in SPOTS]


def answers_with_a_cursor(document: str, schema: dict[str, Any]) -> bool:
    """Whether an answer, or anything within it, says where the next page begins."""
    for form in forms(document, schema):
        fields = form.get("properties", {})
        if "next_cursor" in fields or any(answers_with_a_cursor(document, field) for field in fields.values()):
            return True
    return False


def test_every_list_is_walked() -> None:
    lists = {
        one.said["operationId"]
        for one in OPERATIONS
        for content in one.said["responses"].get("200", {}).get("content", {}).values()
        if answers_with_a_cursor(one.document, content["schema"])
    }
    walked = {spot.operation.said["operationId"] for spot in SPOTS}
    assert lists <= walked
    assert {"events_stream", "jobs_stream"} <= walked
    assert len(lists) >= 9


@pytest_asyncio.fixture(scope="module")
async def open_service(create_database: CreateDatabase, room: Path) -> AsyncIterator[ServiceProcess]:
    """A service whose seal is eight zeros."""
    folder = room / "open-seal"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(OPEN)
    path = os.pathsep.join([str(folder), str(ROOT)])
    one = ServiceProcess(await create_database(), room / "open", {"PYTHONPATH": path})
    await one.ready()
    yield one
    one.stop()


def cursor_of(place: bytes) -> str:
    return base64.urlsafe_b64encode(place + SEAL).rstrip(b"=").decode()


async def faults(api: httpx.AsyncClient, spot: Spot, cursors: dict[str, str]) -> list[str]:
    """Send cursors that are to be refused; gives how it was not."""
    wrong = []
    job_id = str((await api.post("/v1/jobs", json={"type": "t", "queue": "cursors"})).json()["id"])
    url = spot.operation.url.replace(UNKNOWN, job_id)
    for what, cursor in cursors.items():
        async with api.stream(spot.operation.method, url, **spot.request(cursor)) as answer:
            if answer.status_code == 200:
                wrong.append(f"{what}: taken")
                continue
            await answer.aread()
        if spot.operation.document == NATIVE:
            said = answer.json()
            right = (answer.status_code, said["code"]) == (422, "invalid_cursor")
            right = right and [error["pointer"] for error in said["errors"]] == [spot.pointer]
        else:
            right = answer.status_code in (400, 422) and spot.name in answer.text
        if not right:
            wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
    return wrong


@pytest.mark.parametrize("spot", SPOTS, ids=NAMES)
async def test_cursor_that_no_list_has_given_is_refused(api: httpx.AsyncClient, spot: Spot) -> None:
    # An empty header is none.
    cursors = {cursor[:70]: cursor for cursor in UNSEALED if cursor or spot.place != "header"}
    wrong = await faults(api, spot, cursors)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("spot", SPOTS, ids=NAMES)
async def test_place_that_no_list_has_is_refused_under_a_right_seal(open_service: ServiceProcess, spot: Spot) -> None:
    async with open_service.client() as api:
        wrong = await faults(api, spot, {repr(place[:40]): cursor_of(place) for place in PLACES})
        assert not wrong, "\n".join(wrong)
        job_id = str((await api.post("/v1/jobs", json={"type": "t"})).json()["id"])
        url = spot.operation.url.replace(UNKNOWN, job_id)
        taken = []
        for place in REAL:
            # The head alone: a stream that goes on has no end.
            async with api.stream(spot.operation.method, url, **spot.request(cursor_of(place))) as answer:
                taken.append(answer.status_code)
        assert 200 in taken, taken


HISTORY = {"/v1/events", "/v1/jobs/{job_id}/events", "/v1/jobs/{job_id}/stream"}


@pytest.mark.parametrize("spot", SPOTS, ids=NAMES)
async def test_cursor_of_another_list_is_refused(api: httpx.AsyncClient, spot: Spot) -> None:
    given = await given_cursors(api)
    path = spot.operation.path
    # An event's id is good for all that tells of events.
    given.pop("/v1/events" if path in HISTORY else path, None)
    wrong = await faults(api, spot, given)
    assert not wrong, "\n".join(wrong)


async def given_cursors(api: httpx.AsyncClient) -> dict[str, str]:
    """Get cursors as the lists give them, by what was listed."""
    items = [{"key": "a"}, {"key": "b"}]
    job = (await api.post("/v1/jobs", json={"type": "t", "queue": "cursors", "items": items})).json()["id"]
    await api.post("/v1/jobs", json={"type": "t", "queue": "cursors-2"})
    for n in range(2):
        await api.post("/v1/keys", json={"name": f"cursors-{n}", "scopes": ["read"]})
        await api.post("/v1/projects", json={"name": f"cursors-{n}"})
    found = {
        "another filter": (await api.get("/v1/jobs", params={"limit": 1, "type": "t"})).json()["next_cursor"],
        "another job's items": (await api.get(f"/v1/jobs/{job}/items", params={"limit": 1})).json()["next_cursor"],
        "another job's files": (await api.get(f"/v2/jobs/{job}", params={"files_limit": 1})).json()["files_page"][
            "next_cursor"
        ],
        "/v1/events": (await api.get(f"/v1/jobs/{job}/events")).json()["events"][0]["id"],
    }
    for path in ("/v1/jobs", "/v1/queues", "/v1/keys", "/v1/projects"):
        found[path] = (await api.get(path, params={"limit": 1})).json()["next_cursor"]
    assert all(found.values()), found
    return found
