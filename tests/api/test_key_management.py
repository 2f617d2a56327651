"""Keys and projects over a socket: made, shown once, listed, ended; and what no key can give itself."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.api.keys.wire import KeyList, KeyMade, KeyOut, ProjectList, ProjectOut
from tests.api.conftest import Create
from tests.service_process import ServiceProcess

LONG_AGO, FAR = "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
Make = Callable[..., Awaitable[dict[str, Any]]]
With = Callable[[dict[str, Any]], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def make(api: httpx.AsyncClient) -> Make:
    """Make a key with the operator's."""

    async def make(*scopes: str, **fields: Any) -> dict[str, Any]:
        answer = await api.post("/v1/keys", json={"name": "test", "scopes": scopes, **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return make


@pytest.fixture
def using(service: ServiceProcess) -> With:
    """A client with a key that was made."""

    @asynccontextmanager
    async def using(made: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=service.url, headers={"Authorization": f"Bearer {made['key']}"}, timeout=30
        ) as client:
            yield client

    return using


@pytest_asyncio.fixture
async def project(api: httpx.AsyncClient) -> dict[str, Any]:
    """A project of the test's own."""
    answer = await api.post("/v1/projects", json={"name": "of a test"})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/projects/{answer.json()['id']}"
    return dict(answer.json())


async def test_key_is_shown_once_and_works_at_once(api: httpx.AsyncClient, using: With) -> None:
    answer = await api.post("/v1/keys", json={"name": "n", "scopes": ["work", "read"], "queues": ["b", "a", "b"]})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    KeyMade.model_validate_json(answer.content)
    assert made["key"].startswith(f"jt_{made['id']}_")
    assert (made["scopes"], made["queues"], made["revoked_at"]) == (["read", "work"], ["a", "b"], None)
    async with using(made) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        assert (await client.get("/v1/keys")).status_code == 403
    shown = await api.get(answer.headers["Location"])
    KeyOut.model_validate_json(shown.content)
    # That it was used is written down once a minute, which may be now.
    unused = {**made, "last_used_at": None}
    del unused["key"]
    assert {**shown.json(), "last_used_at": None} == unused
    listed = await api.get("/v1/keys", params={"limit": 500})
    KeyList.model_validate_json(listed.content)
    assert unused in [{**key, "last_used_at": None} for key in listed.json()["keys"]]
    assert made["key"] not in listed.text + shown.text


async def test_pages_of_keys_hold_each_key_once(api: httpx.AsyncClient, make: Make, project: dict[str, Any]) -> None:
    ids = [(await make("read", project_id=project["id"]))["id"] for _ in range(5)]
    found, cursor = [], None
    for _ in range(4):
        params = {"project_id": project["id"], "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await api.get("/v1/keys", params=params)).json()
        found += [key["id"] for key in page["keys"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == ids[::-1]
    assert cursor is None
    of_another_list = (await api.get("/v1/keys", params={"project_id": project["id"], "limit": 2})).json()[
        "next_cursor"
    ]
    assert (await api.get("/v1/keys", params={"cursor": of_another_list})).json()["code"] == "invalid_cursor"


async def test_revoking_ends_a_key_at_once_and_for_good(api: httpx.AsyncClient, make: Make, using: With) -> None:
    made = await make("read")
    async with using(made) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        for _ in range(2):
            gone = await api.delete(f"/v1/keys/{made['id']}")
            assert (gone.status_code, gone.content) == (204, b"")
        assert (await client.get("/v1/jobs")).status_code == 401
    assert (await api.get(f"/v1/keys/{made['id']}")).json()["revoked_at"] is not None
    revived = await api.put(f"/v1/keys/{made['id']}", json={"expires_at": None})
    assert (revived.status_code, revived.json()["code"]) == (409, "key_revoked")


async def test_expiry_can_be_moved_both_ways(api: httpx.AsyncClient, make: Make, using: With) -> None:
    made = await make("read", expires_at=FAR)
    assert made["expires_at"] == "2999-01-01T00:00:00.000Z"
    async with using(made) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        ended = await api.put(f"/v1/keys/{made['id']}", json={"expires_at": LONG_AGO})
        assert (ended.status_code, ended.json()["expires_at"]) == (200, "2001-01-01T00:00:00.000Z")
        assert (await client.get("/v1/jobs")).status_code == 401
        assert (await api.put(f"/v1/keys/{made['id']}", json={"expires_at": None})).json()["expires_at"] is None
        assert (await client.get("/v1/jobs")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"expires_at": LONG_AGO}, "/expires_at"),
        ({"project_id": str(uuid.uuid4())}, "/project_id"),
        ({"queues": []}, "/queues"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"secret": "x"}, "/secret"),
    ],
)
async def test_key_that_makes_no_sense_is_not_made(
    api: httpx.AsyncClient, fields: dict[str, Any], pointer: str
) -> None:
    answer = await api.post("/v1/keys", json={"name": "n", "scopes": ["read"], **fields})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_unknown_keys_are_not_found(api: httpx.AsyncClient, make: Make, project: dict[str, Any]) -> None:
    elsewhere = await make("read", project_id=project["id"])
    for key_id in ("000000000000", elsewhere["id"], "a%00b", "%F0%9F%98%80", "x" * 500):
        assert (await api.get(f"/v1/keys/{key_id}")).status_code in {404, 422}
        assert (await api.delete(f"/v1/keys/{key_id}")).status_code in {404, 422}
    assert (await api.get("/v1/keys", params={"project_id": str(uuid.uuid4())})).status_code == 404
    assert (await api.get("/v1/keys", params={"project_id": "nonsense"})).status_code == 404


async def test_admin_makes_nothing_that_may_more_than_itself(
    api: httpx.AsyncClient, make: Make, using: With, project: dict[str, Any]
) -> None:
    operators = await make("operator")
    async with using(await make("admin", queues=["a", "b"])) as admin:

        async def asked(**fields: Any) -> int:
            answer = await admin.post("/v1/keys", json={"name": "n", "scopes": ["work"], "queues": ["a"], **fields})
            return answer.status_code

        assert await asked() == 201
        assert await asked(scopes=["admin"], queues=["a", "b"]) == 201
        assert await asked(scopes=["operator"]) == 403
        assert await asked(scopes=["read", "operator"]) == 403
        assert await asked(queues=None) == 403
        assert await asked(queues=["a", "c"]) == 403
        assert await asked(project_id=project["id"]) == 403
        assert await asked(project_id=str(uuid.uuid4())) == 403, "whether it exists or not"
        assert (await admin.get("/v1/keys", params={"project_id": project["id"]})).status_code == 403
        assert (await admin.get("/v1/projects")).status_code == 403
        stronger = f"/v1/keys/{operators['id']}"
        assert (await admin.delete(stronger)).status_code == 403
        assert (await admin.put(stronger, json={"expires_at": LONG_AGO})).status_code == 403
    assert (await api.delete(f"/v1/keys/{operators['id']}")).status_code == 204


async def test_project_begins_with_a_key_that_an_operator_makes(
    api: httpx.AsyncClient, make: Make, using: With, project: dict[str, Any], create: Create
) -> None:
    job = await create()
    made = await make("admin", project_id=project["id"])
    assert made["project_id"] == project["id"]
    async with using(made) as admin:
        assert (await admin.get(f"/v1/jobs/{job['id']}")).status_code == 404
        assert [key["id"] for key in (await admin.get("/v1/keys")).json()["keys"]] == [made["id"]]
        own = await admin.post("/v1/keys", json={"name": "n", "scopes": ["read"], "project_id": project["id"]})
        assert own.status_code == 201
        assert (await admin.delete(f"/v1/keys/{own.json()['id']}")).status_code == 204
    assert (await api.delete(f"/v1/keys/{made['id']}")).status_code == 404
    params = {"project_id": project["id"]}
    assert (await api.delete(f"/v1/keys/{made['id']}", params=params)).status_code == 204


async def test_projects_are_read_and_listed(api: httpx.AsyncClient, project: dict[str, Any]) -> None:
    shown = await api.get(f"/v1/projects/{project['id']}")
    ProjectOut.model_validate_json(shown.content)
    assert shown.json() == project
    listed = await api.get("/v1/projects", params={"limit": 1})
    ProjectList.model_validate_json(listed.content)
    assert listed.json()["projects"] == [project]
    rest = await api.get("/v1/projects", params={"cursor": listed.json()["next_cursor"], "limit": 500})
    assert project not in rest.json()["projects"]
    assert "default" in [one["name"] for one in rest.json()["projects"]]
    for unknown in (str(uuid.uuid4()), "nonsense"):
        assert (await api.get(f"/v1/projects/{unknown}")).status_code == 404
    assert (await api.delete(f"/v1/projects/{project['id']}")).status_code == 405


async def test_key_of_some_queues_cannot_claim_another_queues_job_by_its_id(
    api: httpx.AsyncClient, make: Make, using: With, create: Create, queue: str
) -> None:
    job = await create()
    async with using(await make("work", "submit", queues=["elsewhere"])) as client:
        by_id = await client.post("/v1/claims", json={"worker": "w", "job_ids": [job["id"]]})
        assert by_id.json() == {"jobs": []}
        token = str(uuid.uuid4())
        for action in ("report", "complete", "release"):
            refused = await client.post(f"/v1/jobs/{job['id']}/{action}", json={"token": token})
            assert (refused.status_code, refused.json()["code"]) == (409, "lease_lost")
    assert (await api.get(f"/v1/jobs/{job['id']}")).json()["version"] == job["version"]
    async with using(await make("work", queues=[queue])) as client:
        by_id = await client.post("/v1/claims", json={"worker": "w", "job_ids": [job["id"]]})
        [claimed] = by_id.json()["jobs"]
    # Its token is proof enough: a worker whose key is replaced while it works can finish with the new one.
    async with using(await make("work", queues=["elsewhere"])) as client:
        done = await client.post(f"/v1/jobs/{job['id']}/complete", json={"token": claimed["lease"]["token"]})
    assert (done.status_code, done.json()["status"]) == (200, "completed")


async def test_keys_stay_out_of_the_log(
    service: ServiceProcess, make: Make, using: With, api: httpx.AsyncClient
) -> None:
    made = await make("read")
    async with using(made) as client:
        await client.get("/v1/jobs")
        await client.post("/v1/keys", content=made["key"].encode(), headers={"Content-Type": "application/json"})
    await api.get(f"/v1/keys/{made['key']}")
    await api.delete(f"/v1/keys/{made['id']}")
    secret = made["key"].removeprefix(f"jt_{made['id']}_")
    assert secret not in service.log.read_text()
