"""Every unsafe operation of every document does it once under an Idempotency-Key."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from app.db.opening import asyncpg_dsn
from tests.api.keyed_calls import SCENES, TYPE, UNSAFE, Scene, created, erase
from tests.api.operations import OPERATIONS, Operation, name_of
from tests.service_process import ServiceProcess

REPLAYED = "idempotency-replayed"
BAD_KEYS: list[tuple[str | bytes, ...]] = [
    ("",), ('""',), ("a b",), ("a\tb",), (b"\xc3\xa9",), ("x" * 256,), ("a", "b"),
]  # fmt: skip
EFFECTS = """
    SELECT json_build_array(
        (SELECT count(*) FROM jobs WHERE project_id = $1), (SELECT count(*) FROM events WHERE project_id = $1),
        (SELECT count(*) FROM job_logs WHERE project_id = $1), (SELECT count(*) FROM items WHERE project_id = $1),
        (SELECT count(*) FROM inputs WHERE project_id = $1), (SELECT count(*) FROM keys WHERE project_id = $1),
        (SELECT sum(version) FROM jobs WHERE project_id = $1), (SELECT sum(version) FROM runs WHERE project_id = $1),
        (SELECT count(*) FROM input_chunks WHERE project_id = $1),
        (SELECT json_agg(json_build_array(paused, concurrency_limit)) FROM queues WHERE project_id = $1),
        (SELECT json_agg(json_build_array(expires_at IS NULL, revoked_at IS NULL) ORDER BY created_at) FROM keys
         WHERE project_id = $1),
        (SELECT count(*) FROM projects WHERE name = $2))
"""
VOLATILE = {
    "lease", "expires_in_seconds", "depth", "oldest_waiting_seconds", "rates", "key", "last_used_at", "updated_at",
    "due", "scheduled", "held", "oldest_waiting_id",
}  # fmt: skip


@dataclass(slots=True)
class Stage:
    """A service, a connection to its database, and clients that all scenes share: to make one takes 30 ms."""

    database: asyncpg.Connection
    operator: httpx.AsyncClient
    api: httpx.AsyncClient

    async def scene(self, one: Operation) -> Scene:
        """Set an operation's scene, in a project of its own."""
        project = (await self.operator.post("/v1/projects", json={"name": "keyed"})).json()["id"]
        new = {"name": "all", "scopes": ["operator"], "project_id": project}
        key = (await self.operator.post("/v1/keys", json=new)).json()["key"]
        self.api.headers["Authorization"] = f"Bearer {key}"
        return await SCENES[one.said["operationId"]](self.api, one)

    async def effects(self, scene: Scene) -> Any:
        """Read what there is in the project of a scene."""
        key_id = scene.api.headers["Authorization"].split("_")[1]
        name = scene.body.get("name", "") if isinstance(scene.body, dict) else ""
        project = await self.database.fetchval("SELECT project_id FROM keys WHERE id = $1", key_id)
        return json.loads(await self.database.fetchval(EFFECTS, project, name))


@pytest_asyncio.fixture(scope="module")
async def stage(service: ServiceProcess) -> AsyncIterator[Stage]:
    database = await asyncpg.connect(asyncpg_dsn(service.database_url))
    async with service.client() as operator, service.client() as api:
        yield Stage(database, operator, api)
    await database.close()


def shown(document: Any) -> Any:
    """Leave out of an answer what changes with the time."""
    if isinstance(document, dict):
        return {name: shown(value) for name, value in document.items() if name not in VOLATILE}
    return [shown(value) for value in document] if isinstance(document, list) else document


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, shown(answer.json()) if answer.content else None


def body_of(scene: Scene, turn: int) -> Any:
    """Return the request (0), its repeat (1) or another one (2). Of a form the first two are not the same bytes."""
    if isinstance(scene.body, list):
        return scene.body[turn]
    return scene.other if turn == 2 else scene.body


def test_every_unsafe_operation_has_the_header_and_a_scene() -> None:
    for one in OPERATIONS:
        names = [parameter["name"] for parameter in one.said.get("parameters", ())]
        assert names.count("Idempotency-Key") == (one in UNSAFE), name_of(one)
    assert set(SCENES) == {one.said["operationId"] for one in UNSAFE}


def reads_by_filter(one: Operation) -> bool:
    """Whether a call finds its jobs by a filter, so that it would find another one when it is repeated."""
    return one.said["operationId"] in {"jobs_cancel_many", "jobs_rerun_many", "claims_create"}


@pytest.mark.parametrize("one", UNSAFE, ids=map(name_of, UNSAFE))
async def test_it_is_done_once_and_told_again(stage: Stage, one: Operation) -> None:
    scene = await stage.scene(one)
    before = await stage.effects(scene)
    for keys in BAD_KEYS:
        bad = await scene.call(one.method, body_of(scene, 0), *keys)
        assert (bad.status_code, "Idempotency-Key" in bad.text) == (400, True), (keys, bad.text)
    assert await stage.effects(scene) == before
    key = str(uuid.uuid4())
    first = await scene.call(one.method, body_of(scene, 0), key)
    assert first.is_success, first.text
    assert REPLAYED not in first.headers
    done = await stage.effects(scene)
    assert done != before
    if reads_by_filter(one):
        await created(scene.api)
        done = await stage.effects(scene)
    again = await scene.call(one.method, body_of(scene, 1), f'"{key}"', turn=1)
    assert (told(again), again.headers.get(REPLAYED)) == (told(first), "true")
    assert again.headers.get("location") == first.headers.get("location")
    other = body_of(scene, 2)
    if other is not None:
        refused = await scene.call(one.method, other, key, turn=2)
        assert refused.status_code == (400 if one.document == "fifthelement" else 422), refused.text
        assert "was used for another request" in refused.text
    assert await stage.effects(scene) == done
    if not reads_by_filter(one):
        await delete_its_jobs(scene, one, first, key)


async def delete_its_jobs(scene: Scene, one: Operation, first: httpx.Response, key: str) -> None:
    """Delete the jobs that a call was about and created, and look at what its repeat says."""
    left = {job["id"] for job in (await scene.api.get("/v1/jobs")).json()["jobs"]}
    if scene.job is not None and "rerun" in one.path:
        await erase(scene.api, scene.job)
        left.remove(scene.job)
        assert told(await scene.call(one.method, body_of(scene, 0), key)) == told(first)
    for job_id in left:
        await erase(scene.api, job_id, scene.token)
    again = await scene.call(one.method, body_of(scene, 0), key)
    if scene.gone is None:
        assert (told(again), again.headers[REPLAYED]) == (told(first), "true")
    else:
        assert scene.gone in again.text
        assert again.is_client_error or "results" in again.json()
    assert (await scene.api.get("/v1/jobs")).json()["jobs"] == []


# Of the fifteen sources that Captain takes as JSON, by one and the same function, two: with credentials and without.
_TWO = ("index/s3", "index/url", "index/file")
RACED = [one for one in UNSAFE if "/index/" not in one.path or one.path.endswith(_TWO)]


@pytest.mark.parametrize("one", RACED, ids=map(name_of, RACED))
async def test_twenty_at_once_do_it_once(stage: Stage, one: Operation) -> None:
    alone = await stage.scene(one)
    assert (await alone.call(one.method, body_of(alone, 0), "key")).is_success
    once = await stage.effects(alone)
    scene = await stage.scene(one)
    calls = [scene.call(one.method, body_of(scene, n % 2), "key", turn=n % 2) for n in range(20)]
    answers = await asyncio.gather(*calls)
    good = [answer for answer in answers if answer.is_success]
    for answer in answers:
        assert answer.is_success or "Idempotency-Key is still running" in answer.text, answer.text
    assert [REPLAYED in answer.headers for answer in good].count(False) == 1
    assert all(told(answer) == told(good[0]) for answer in good)
    assert await stage.effects(scene) == once


def operation(name: str) -> Operation:
    return next(one for one in UNSAFE if one.said["operationId"] == name)


async def test_lease_of_a_repeat_is_what_is_left(stage: Stage) -> None:
    scene = await stage.scene(operation("claims_create"))
    (job,) = (await scene.call("POST", scene.body, "claim")).json()["jobs"]
    path, report = f"/v1/jobs/{job['id']}/report", {"token": job["lease"]["token"], "progress": 1}
    headers = {"Idempotency-Key": "report"}
    new = {"type": TYPE, "engine": "e", "claim": {"worker": "w", "lease_seconds": 300}}
    made = (await scene.api.post("/v1/jobs", json=new, headers=headers)).json()
    await scene.api.post(path, json=report, headers=headers)
    spent = "UPDATE runs SET lease_ends_at = lease_ends_at - interval '200 seconds' WHERE job_id = ANY ($1::uuid[])"
    await stage.database.execute(spent, [job["id"], made["id"]])
    leases = [
        (await scene.call("POST", scene.body, "claim")).json()["jobs"][0]["lease"],
        (await scene.api.post(path, json=report, headers=headers)).json()["lease"],
        (await scene.api.post("/v1/jobs", json=new, headers=headers)).json()["lease"],
    ]
    for lease in leases:
        assert 0 < lease["expires_in_seconds"] <= 100, lease
    await scene.api.post(f"/v1/jobs/{job['id']}/complete", json={"token": job["lease"]["token"]})
    lost = (await scene.api.post(path, json=report, headers=headers)).json()
    assert (lost["status"], lost["lease"]["expires_in_seconds"]) == ("completed", 0)
    # There is another job to take, and this claim has taken its own.
    again = await scene.call("POST", scene.body, "claim")
    assert (again.json(), again.headers[REPLAYED]) == ({"jobs": []}, "true")


async def test_report_without_a_lease_end_is_repeated_without_one(stage: Stage) -> None:
    scene = await stage.scene(operation("claims_create"))
    new = {"type": TYPE, "engine": "e", "claim": {"worker": "w", "lease_seconds": None}}
    made = (await scene.api.post("/v1/jobs", json=new)).json()
    report = {"token": made["lease"]["token"], "progress": 1}
    for _ in range(2):
        answer = await scene.api.post(f"/v1/jobs/{made['id']}/report", json=report, headers={"Idempotency-Key": "k"})
        assert answer.json()["lease"]["expires_in_seconds"] is None


async def test_key_of_a_call_that_hands_out_a_lease_belongs_to_the_api_key(stage: Stage) -> None:
    scene = await stage.scene(operation("claims_create"))
    new = {"type": TYPE, "engine": "e", "claim": {"worker": "w"}}
    calls = [("/v1/claims", scene.body), ("/v1/jobs", new), ("/v1/jobs/batch", {"jobs": [new]})]
    headers = {"Idempotency-Key": "k"}
    answers = [await scene.api.post(path, json=body, headers=headers) for path, body in calls]
    key = (await scene.api.post("/v1/keys", json={"name": "n", "scopes": ["submit", "work"]})).json()["key"]
    headers["Authorization"] = f"Bearer {key}"
    answers += [await scene.api.post(path, json=body, headers=headers) for path, body in calls]
    assert not any(REPLAYED in answer.headers for answer in answers)
    assert len({job_in(answer.json())["lease"]["token"] for answer in answers}) == 2 * len(calls)


def job_in(document: dict[str, Any]) -> dict[str, Any]:
    """Return the one job of an answer."""
    if "results" in document:
        return dict(document["results"][0]["job"])
    return dict(document["jobs"][0] if "jobs" in document else document)
