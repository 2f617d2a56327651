"""What LlamaCloud's API promises beyond its words: credentials that stay secret, reasons kept, items found again."""

import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.dialects.conftest import Work

BASE = "/api/v1/beta/batch-processing"
SECRET = "sk-0123456789-abcdef"


async def create(api: httpx.AsyncClient, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    answer = await api.post(BASE, json={"job_config": {}, **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_credentials_are_for_the_worker_alone(api: httpx.AsyncClient, work: Work) -> None:
    config = {
        "parameters": {
            "gpt4o_api_key": SECRET,
            "lang": "en",
            "max_pages": 7,
            "http_proxy": None,
            "input_url": f"https://u:{SECRET}@example.org",
            "webhook_configurations": [{"webhook_url": f"https://{SECRET}", "webhook_signing_secret": SECRET}],
        },
        "resource_info": {"Password": SECRET},
        "notes": [SECRET],
    }
    job_id = (await create(api, job_config=config, item_ids=["a"]))["id"]
    key = (await api.post("/v1/keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
    reader = {"Authorization": f"Bearer {key}"}
    seen = await api.get(f"/v1/jobs/{job_id}", headers=reader)
    assert SECRET not in seen.text
    shown = seen.json()["payload"]["job_config"]["parameters"]
    assert shown == {"lang": "en", "max_pages": 7, "http_proxy": None, "webhook_configurations": [{}]}
    assert (await api.get(f"/v1/jobs/{job_id}/input", headers=reader)).status_code == 403
    token = await work.claim(job_id)
    got = await api.get(f"/v1/jobs/{job_id}/input", headers={"Lease-Token": token})
    assert got.json()["job_config"] == config
    await work.say(job_id, "report", token, items=[{"key": "a", "status": "completed"}])
    results = await api.get(f"{BASE}/items/{job_id}.a/processing-results", headers=reader)
    assert results.json()["processing_results"][0]["job_config"]["parameters"] == shown
    assert SECRET not in results.text
    await work.say(job_id, "complete", token)
    assert (await api.get(f"/v1/jobs/{job_id}/input")).status_code == 409


async def test_without_credentials_there_is_no_input_and_a_rerun_is_free(api: httpx.AsyncClient, work: Work) -> None:
    job_id = (await create(api, directory_id="d"))["id"]
    assert (await api.get(f"/v1/jobs/{job_id}/input")).status_code == 404
    await work.finish(job_id)
    assert (await api.post(f"/v1/jobs/{job_id}/rerun")).status_code == 201


@pytest.mark.parametrize("hole", ["id", "status", "project_id", "user_id"])
async def test_classification_with_a_hole_is_refused(api: httpx.AsyncClient, hole: str) -> None:
    config = {"id": "c", "project_id": "p", "user_id": "u", "status": "PENDING", "rules": []}
    assert (await create(api, job_config=config, directory_id="d"))["job_type"] == "classify"
    del config[hole]
    answer = await api.post(BASE, json={"job_config": config, "directory_id": "d"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][-1] == hole


async def test_reason_of_a_cancel_and_the_namespace_are_kept(api: httpx.AsyncClient) -> None:
    job_id = (await create(api, {"temporal-namespace": "blue"}, directory_id="d"))["id"]
    await api.post(f"{BASE}/{job_id}/cancel", json={"reason": "wrong directory"})
    events = (await api.get(f"/v1/jobs/{job_id}/events")).json()["events"]
    assert events[-1]["data"] == {"reason": "wrong directory"}
    assert (await api.get(f"/v1/jobs/{job_id}")).json()["labels"]["temporal-namespace"] == "blue"


async def test_cancel_needs_no_body(api: httpx.AsyncClient) -> None:
    job_id = (await create(api, directory_id="d"))["id"]
    assert (await api.post(f"{BASE}/{job_id}/cancel")).json()["status"] == "cancelled"


async def test_item_is_found_by_the_client_s_own_id_in_all_its_batches(api: httpx.AsyncClient, work: Work) -> None:
    file_id = f"dir/{uuid.uuid4()} ?#%"
    made = [(await create(api, item_ids=[file_id, "other"]))["id"] for _ in range(3)]
    native = (await api.post("/v1/jobs", json={"type": "parse", "items": [{"key": file_id}]})).json()["id"]
    for job_id in made[:2]:
        token = await work.claim(job_id)
        await work.say(job_id, "report", token, items=[{"key": file_id, "status": "completed", "name": "File"}])
    url = httpx.URL(f"{BASE}/items/").join(f"./{_quoted(file_id)}/processing-results")
    answer = (await api.get(url)).json()
    assert [one["result_id"] for one in answer["processing_results"]] == [
        f"{made[1]}.{file_id}",
        f"{made[0]}.{file_id}",
    ]
    assert answer["item_name"] == "File"
    exact = (await api.get(f"{BASE}/items/{native}.{_quoted(file_id)}/processing-results")).json()
    assert (exact["item_id"], exact["processing_results"]) == (f"{native}.{file_id}", [])


def _quoted(text: str) -> str:
    return quote(text, safe="")


async def test_pages_of_items_by_offset(api: httpx.AsyncClient) -> None:
    ids = [f"f{n:03}" for n in range(25)]
    job_id = (await create(api, item_ids=ids))["id"]
    seen: list[str] = []
    while True:
        page = (await api.get(f"{BASE}/{job_id}/items", params={"limit": 10, "offset": len(seen)})).json()
        assert page["total_size"] == 25
        if not page["items"]:
            break
        seen += [item["item_id"] for item in page["items"]]
    assert seen == ids
    beyond = (await api.get(f"{BASE}/{job_id}/items", params={"offset": 2_000_000_000, "status": "pending"})).json()
    assert (beyond["items"], beyond["total_size"]) == ([], 25)
