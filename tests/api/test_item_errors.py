"""The errors of a job's items: counted by code, listed by code, rerun by code."""

from typing import Any

import httpx
import pytest

from app.api.jobs.error_wire import GroupedErrorsOut
from tests.api.conftest import Claim, Create

UPDATES = [
    {"key": "a", "status": "completed"},
    {"key": "b", "status": "failed", "error_code": "bad_csv", "error_message": "line 3"},
    {"key": "c", "status": "failed", "error_code": "too_large"},
    {"key": "d", "status": "failed", "error_code": "bad_csv", "error_message": "line 9"},
    {"key": "e", "status": "failed", "message": "no reason"},
    {"key": "f", "error_code": "noted"},
]


@pytest.fixture
async def held(create: Create, claim: Claim, api: httpx.AsyncClient) -> tuple[str, str]:
    """A job with failed items, and the token of its worker."""
    job = await create(items=[{"key": key} for key in "abcdef"])
    token = (await claim())["lease"]["token"]
    await _report(api, job["id"], token, UPDATES)
    return job["id"], token


async def _report(api: httpx.AsyncClient, job: str, token: str, items: list[dict[str, Any]]) -> None:
    answer = await api.post(f"/v1/jobs/{job}/report", json={"token": token, "items": items})
    assert answer.status_code == 200, answer.text


async def _keys(api: httpx.AsyncClient, job: str, **params: Any) -> list[str]:
    answer = await api.get(f"/v1/jobs/{job}/items", params=params)
    assert answer.status_code == 200, answer.text
    return [item["key"] for item in answer.json()["items"]]


async def test_failed_items_are_counted_by_code(api: httpx.AsyncClient, held: tuple[str, str]) -> None:
    job, token = held
    found = (await api.get(f"/v1/jobs/{job}/errors")).json()
    GroupedErrorsOut.model_validate(found)
    assert found == {
        "errors": [
            {"error_code": "bad_csv", "count": 2, "first_key": "b", "message": "line 3"},
            {"error_code": "too_large", "count": 1, "first_key": "c", "message": None},
            {"error_code": "failed", "count": 1, "first_key": "e", "message": "no reason"},
        ],
        "counted": 4,
        "is_complete": True,
    }
    await _report(api, job, token, [{"key": key, "status": "completed"} for key in "bcde"])
    assert (await api.get(f"/v1/jobs/{job}/errors")).json() == {"errors": [], "counted": 0, "is_complete": True}


async def test_an_item_that_failed_without_a_code_keeps_the_one_it_had(
    api: httpx.AsyncClient, held: tuple[str, str]
) -> None:
    job, token = held
    await _report(api, job, token, [{"key": "b", "status": "failed"}, {"key": "new", "status": "failed"}])
    items = (await api.get(f"/v1/jobs/{job}/items", params={"status": "failed"})).json()["items"]
    assert {item["key"]: item["error_code"] for item in items} == {
        "b": "bad_csv",
        "c": "too_large",
        "d": "bad_csv",
        "e": "failed",
        "new": "failed",
    }


async def test_more_codes_than_are_listed_are_said_to_be_missing(api: httpx.AsyncClient, held: tuple[str, str]) -> None:
    job, token = held
    await _report(api, job, token, [{"key": f"x{n}", "status": "failed", "error_code": f"c{n}"} for n in range(60)])
    found = (await api.get(f"/v1/jobs/{job}/errors")).json()
    assert (len(found["errors"]), found["counted"], found["is_complete"]) == (50, 64, False)
    assert [error["error_code"] for error in found["errors"][:3]] == ["bad_csv", "too_large", "failed"]


async def test_items_are_listed_by_error_code(api: httpx.AsyncClient, held: tuple[str, str]) -> None:
    job, _ = held
    assert await _keys(api, job, error_code="bad_csv") == ["b", "d"]
    assert await _keys(api, job, error_code=["too_large", "bad_csv"]) == ["b", "c", "d"]
    assert await _keys(api, job, error_code="unknown") == []
    assert await _keys(api, job, with_error="true") == ["b", "c", "d", "e", "f"]
    assert await _keys(api, job, with_error="true", status="failed") == ["b", "c", "d", "e"]
    first = (await api.get(f"/v1/jobs/{job}/items", params={"error_code": "bad_csv", "limit": 1})).json()
    cursor = first["next_cursor"]
    assert await _keys(api, job, error_code="bad_csv", limit=1, cursor=cursor) == ["d"]
    for other in ({}, {"error_code": "too_large"}, {"with_error": "true"}):
        refused = await api.get(f"/v1/jobs/{job}/items", params={**other, "cursor": cursor})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_cursor")


async def test_a_rerun_takes_the_items_of_some_error_codes(api: httpx.AsyncClient, held: tuple[str, str]) -> None:
    job, token = held
    assert (await api.post(f"/v1/jobs/{job}/complete", json={"token": token})).status_code == 200
    rerun = f"/v1/jobs/{job}/rerun"
    unknown = await api.post(rerun, json={"error_codes": ["unknown"]})
    assert unknown.status_code == 422
    assert "No item of this job failed with one of these error codes" in unknown.json()["detail"]
    assert (await api.post(rerun, json={"error_codes": []})).status_code == 422
    made = await api.post(rerun, json={"error_codes": ["bad_csv"]})
    assert made.status_code == 201, made.text
    assert made.json()["counts"]["total"] == 2
    assert await _keys(api, made.json()["id"]) == ["b", "d"]
    # While it is live nothing that is called a rerun of other items is answered with it.
    for body in ({}, {"only_failed_items": True}, {"error_codes": ["too_large"]}, {"error_codes": ["bad_csv"]}):
        refused = await api.post(rerun, json=body)
        assert refused.status_code == 409, body
        assert refused.json()["job"]["id"] == made.json()["id"]


async def test_a_live_rerun_of_all_failed_items_is_none_of_some_codes(
    api: httpx.AsyncClient, held: tuple[str, str]
) -> None:
    job, token = held
    await api.post(f"/v1/jobs/{job}/complete", json={"token": token})
    assert (await api.post(f"/v1/jobs/{job}/rerun", json={"only_failed_items": True})).status_code == 201
    assert (await api.post(f"/v1/jobs/{job}/rerun", json={"error_codes": ["bad_csv"]})).status_code == 409


async def test_a_plain_rerun_is_returned_to_plain_calls_alone(api: httpx.AsyncClient, held: tuple[str, str]) -> None:
    job, token = held
    await api.post(f"/v1/jobs/{job}/complete", json={"token": token})
    made = (await api.post(f"/v1/jobs/{job}/rerun")).json()
    assert (await api.post(f"/v1/jobs/{job}/rerun")).json()["id"] == made["id"]
    refused = await api.post(f"/v1/jobs/{job}/rerun", json={"only_failed_items": True})
    assert "A rerun of this job with all its items is live" in refused.json()["detail"]
