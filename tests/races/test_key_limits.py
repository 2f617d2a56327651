"""One key cannot hold open all that a process can: over its part it is refused, and other keys get in."""

import asyncio
import json
import uuid
from typing import Any, Final

import pytest

from app.domain.held import KEY_SHARE_PERCENT, MOST, Kind
from tests.conftest import CreateDatabase
from tests.inside_service import Inside, serve_inside
from tests.races.calls import create, post
from tests.races.held_calls import CALLS, INPUT, Call, Held

READY_SECONDS = 10.0
SCOPES = ["read", "submit", "work"]
NATIVE: Final = {"type", "title", "status", "detail", "code", "retryable", "instance"}
SHAPES: Final = {
    "immuta_jobs_statuses": {"statusCode", "error", "message"},
    "captain_index_file": {"detail"},
    "docent_agent_runs_create": {"detail"},
}
"""The members of the answers of dialects; all others are native problems."""


async def held(inside: Inside, count: int) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while len(inside.runtime.services.holds) != count:
            await asyncio.sleep(0.01)


async def names_of(inside: Inside) -> dict[str, str]:
    job_id = await create(inside.client, f"other-{uuid.uuid4()}")
    assert (await inside.client.put(f"/v1/jobs/{job_id}/input", content=INPUT)).status_code == 201
    return {"JOB": job_id, "QUEUE": f"held-{uuid.uuid4()}", "COLLECTION": str(uuid.uuid4())}


async def refused(inside: Inside, key: str, call: Call, **names: str) -> Any:
    """Check that a call is refused for what its key holds, in the shape of its API; returns the body."""
    opened = await Held.open(inside.client, key, call, **names)
    status, headers, body = await asyncio.wait_for(opened.answer(), READY_SECONDS)
    assert (status, int(headers["retry-after"]) > 0) == (429, True), (call.operation, status, body)
    document = json.loads(body)
    assert set(document) == SHAPES.get(call.operation, NATIVE), (call.operation, document)
    assert "One key may hold at most" in body.decode()
    return document


async def test_every_held_operation_is_refused_over_the_part_of_its_key_and_open_to_others(
    create_database: CreateDatabase,
) -> None:
    most = dict.fromkeys(Kind, 4)
    async with serve_inside(await create_database(), most_held=most, key_share_percent=25) as inside:
        names = await names_of(inside)
        greedy, other = [(await post(inside.client, "/v1/keys", name=n, scopes=SCOPES))["key"] for n in "go"]
        for call in CALLS:
            held_calls = [await Held.open(inside.client, greedy, call, **names)]
            await held(inside, 1)
            body = await refused(inside, greedy, call, **names)
            assert call.operation in SHAPES or body["code"] == "key_limit"
            assert len(inside.runtime.services.holds) == 1, "what was refused is held"
            held_calls.append(await Held.open(inside.client, other, call, **names))
            await held(inside, 2)
            for opened in held_calls:
                opened.close()
            await held(inside, 0)
        assert not any(inside.runtime.services.holds.count(kind) for kind in Kind), "not all was given back"


@pytest.mark.parametrize("full", [Kind.IDS, Kind.FILTERS])
async def test_what_is_watched_is_counted_beside_the_requests(create_database: CreateDatabase, full: Kind) -> None:
    most = {**MOST, full: 8 if full is Kind.IDS else 4}
    async with serve_inside(await create_database(), most_held=most, key_share_percent=50) as inside:
        *ids, another = [await create(inside.client, "q") for _ in range(4)]
        key = (await post(inside.client, "/v1/keys", name="n", scopes=SCOPES))["key"]

        def call(*things: str) -> Call:
            if full is Kind.IDS:
                return Call("jobs_wait", "POST /v1/jobs/wait", {"ids": [*things, another], "wait": -1})
            return Call("claims_create", "POST /v1/claims", {"worker": "w", "types": [*things], "wait": 50})

        opened = [await Held.open(inside.client, key, call(each)) for each in ids[:2]]
        await held(inside, 2)
        await refused(inside, key, call(ids[2]))
        if full is Kind.FILTERS:
            # One that is looked for already costs nothing more.
            opened.append(await Held.open(inside.client, key, call(ids[0])))
            await held(inside, 3)
        opened.pop(0).close()
        await held(inside, len(opened))
        if full is Kind.FILTERS:
            await refused(inside, key, call(ids[2]))
            opened.pop().close()
            await held(inside, len(opened))
        opened.append(await Held.open(inside.client, key, call(ids[2])))
        await held(inside, 2)
        for each in opened:
            each.close()


async def test_process_that_is_full_says_so_to_a_key_that_is_not(create_database: CreateDatabase) -> None:
    most = {**MOST, Kind.WAITS: 2}
    async with serve_inside(await create_database(), most_held=most, key_share_percent=50) as inside:
        job_id = await create(inside.client, "q")
        keys = [(await post(inside.client, "/v1/keys", name=n, scopes=SCOPES))["key"] for n in "abc"]
        call = Call("jobs_wait", "POST /v1/jobs/wait", {"ids": [job_id], "wait": -1})
        opened = [await Held.open(inside.client, key, call) for key in keys[:2]]
        await held(inside, 2)
        third = await Held.open(inside.client, keys[2], call)
        status, headers, body = await asyncio.wait_for(third.answer(), READY_SECONDS)
        assert (status, json.loads(body)["code"], "retry-after" in headers) == (503, "too_many_waits", True)
        for each in opened:
            each.close()


def test_one_key_may_hold_ten_thousand_waits_and_never_all() -> None:
    assert 10_000 <= MOST[Kind.WAITS] * KEY_SHARE_PERCENT // 100 < MOST[Kind.WAITS]
