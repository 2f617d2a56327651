"""What each vendor's contract allows of an answer that would be too large."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import SMALL_ANSWER
from tests.service_process import ServiceProcess

PART = "x" * 15_000
BATCHES = "/api/v1/beta/batch-processing"


@pytest.fixture(scope="module")
def service(small_service: ServiceProcess) -> ServiceProcess:
    """The service that these tests talk to."""
    return small_service


async def created(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post("/v1/jobs", json={"type": "parse", "claim": {"worker": "w"}, **fields})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def ended(api: httpx.AsyncClient, job: dict[str, Any], end: str = "complete", **fields: Any) -> str:
    body = {"token": job["lease"]["token"], **fields}
    assert (await api.post(f"/v1/jobs/{job['id']}/{end}", json=body)).status_code == 200
    return str(job["id"])


async def test_immuta_leaves_outputs_out_and_says_so(api: httpx.AsyncClient) -> None:
    results = ["y" * 100_000, *([['"'] * 3_000] * 4), None]
    ids = [await ended(api, await created(api), result=result) for result in results]
    failed = await ended(api, await created(api), "fail", code="c", message="m", retryable=False)
    live = (await created(api))["id"]
    for wait in (0, 1):
        left, seen = list(ids), dict.fromkeys(ids, "")
        while left:
            answer = await api.post("/jobs/statuses", json={"jobIds": [*left, live, failed], "wait": wait})
            body = answer.json()
            assert list(body) == [*left, live, failed]
            assert "outputOmitted" not in body[failed] | body[live]
            assert (json.loads(body[failed]["output"])["error"]["code"], body[live]["output"]) == ("c", None)
            omitted = [id_ for id_ in left if body[id_].get("outputOmitted")]
            assert all(body[id_]["output"] is None for id_ in omitted)
            shown = {id_: body[id_]["output"] for id_ in left if id_ not in omitted}
            assert len(answer.content) <= SMALL_ANSWER or len(shown) == 1
            assert shown
            seen |= shown
            left = omitted
        assert [seen[id_] for id_ in ids] == [
            result if result is None or isinstance(result, str) else json.dumps(result, separators=(",", ":"))
            for result in results
        ]


async def test_llamacloud_pages_are_short_and_never_empty(api: httpx.AsyncClient) -> None:
    items = [{"key": f"k{n}", "status": "failed", "error_message": "\x02" * 4_000} for n in range(7)]
    jobs = []
    for _ in range(6):
        job = await created(api, collection="short", expires_at=None)
        jobs.append(await ended(api, job, "fail", code="c", message="\x02" * 4_000, retryable=False))
    job = await created(api)
    report = {"token": job["lease"]["token"], "items": items}
    assert (await api.post(f"/v1/jobs/{job['id']}/report", json=report)).status_code == 200
    for path, names, key in (
        (f"{BATCHES}?directory_id=short", jobs[::-1], "id"),
        (f"{BATCHES}/{job['id']}/items?limit=50", [f"{job['id']}.k{n}" for n in range(7)], "item_id"),
        (f"{BATCHES}/{job['id']}/items?status=failed", [f"{job['id']}.k{n}" for n in range(7)], "item_id"),
    ):
        seen: list[str] = []
        # As the vendor's client does: on behind what it got, until that is all.
        while True:
            answer = await api.get(path, params={**httpx.URL(path).params, "offset": len(seen)})
            page = answer.json()
            assert len(answer.content) <= SMALL_ANSWER
            assert page["items"]
            assert page["total_size"] == len(names)
            seen += [row[key] for row in page["items"]]
            if len(seen) == page["total_size"]:
                break
            assert len(page["items"]) == 2
        assert seen == names


async def test_llamacloud_results_are_as_many_as_fit(api: httpx.AsyncClient) -> None:
    origin = {"llamacloud": "batch"}
    payload = {"job_config": {"job_name": "parse_raw_file_job", "parameters": {"a": PART}}}
    for n in range(7):
        job = await created(api, labels=origin, payload=payload if n else {"job_config": {"a": "z" * 100_000}})
        items = [{"key": "shared", "status": "completed", "result": {"n": n}}]
        report = {"token": job["lease"]["token"], "items": items}
        assert (await api.post(f"/v1/jobs/{job['id']}/report", json=report)).status_code == 200
        if n == 0:
            alone = await api.get(f"{BATCHES}/items/shared/processing-results")
            assert len(alone.json()["processing_results"]) == 1
    answer = await api.get(f"{BATCHES}/items/shared/processing-results")
    assert len(answer.content) <= SMALL_ANSWER
    shown = [result["output_metadata"]["n"] for result in answer.json()["processing_results"]]
    assert shown == [6, 5, 4, 3]
    assert all(result["job_config"] == payload["job_config"] for result in answer.json()["processing_results"])


async def test_captain_pages_of_files_end_early(api: httpx.AsyncClient) -> None:
    job = await created(api)
    items = [{"key": f"k{n}", "status": "failed", "error_message": "\x02" * 4_000} for n in range(7)]
    report = {"token": job["lease"]["token"], "items": items}
    assert (await api.post(f"/v1/jobs/{job['id']}/report", json=report)).status_code == 200
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.get(f"/v2/jobs/{job['id']}", params=cursor)
        page = answer.json()
        assert len(answer.content) <= SMALL_ANSWER
        seen += [row["uri"] for row in page["files"]]
        if page["files_page"]["next_cursor"] is None:
            break
        assert len(page["files"]) == 2
        cursor = {"files_cursor": page["files_page"]["next_cursor"]}
    assert seen == [f"k{n}" for n in range(7)]


async def test_llamacloud_finds_an_item_behind_more_batches_than_one_answer_holds(api: httpx.AsyncClient) -> None:
    origin = {"llamacloud": "batch"}
    job = await created(api, labels=origin, payload={"job_config": {}})
    report = {"token": job["lease"]["token"], "items": [{"key": "behind", "status": "completed", "result": {}}]}
    assert (await api.post(f"/v1/jobs/{job['id']}/report", json=report)).status_code == 200
    newer = [{"type": "parse", "labels": origin}] * (SMALL_ANSWER // 1_000)
    assert (await api.post("/v1/jobs/batch", json={"jobs": newer})).status_code == 200
    answer = await api.get(f"{BATCHES}/items/behind/processing-results")
    assert (answer.status_code, len(answer.json().get("processing_results", ()))) == (200, 1)
