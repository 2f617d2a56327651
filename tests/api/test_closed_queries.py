"""A query parameter that an operation does not have is refused by its name, in the native API and nowhere else."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import Create
from tests.api.example_values import forms, valid
from tests.api.operations import NATIVE, OPERATIONS, Operation, name_of

OPEN = ("/livez", "/readyz", "/metrics")
CLOSED = [one for one in OPERATIONS if one.document == NATIVE and one.path.startswith("/v1/")]
# What clients write for a list, or mistype, or add to every URL.
STRAY = ("status[]", "statuss", "Status", "_", "")


def request_of(one: Operation) -> dict[str, Any]:
    """A body that the operation takes."""
    schema = one.schema()
    return {} if schema is None else {"json": valid(one.document, schema)}


def pointers(answer: httpx.Response) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("one", CLOSED, ids=name_of)
async def test_unknown_parameter_is_refused_by_name(api: httpx.AsyncClient, one: Operation) -> None:
    for name in STRAY:
        # Streamed: what is not refused may be a stream without an end.
        async with api.stream(one.method, one.url, params={name: "1"}, **request_of(one)) as answer:
            assert answer.status_code == 422, name
            await answer.aread()
        assert f"?{name}" in pointers(answer)


@pytest.mark.parametrize("one", [one for one in CLOSED if one.queries], ids=name_of)
async def test_single_value_that_is_sent_twice_with_two_meanings_is_refused(
    api: httpx.AsyncClient, one: Operation
) -> None:
    for parameter in one.said["parameters"]:
        several = any(form.get("type") == "array" for form in forms(one.document, parameter["schema"]))
        if parameter["in"] == "query" and not several:
            name = parameter["name"]
            answer = await api.request(one.method, f"{one.url}?{name}=1&{name}=2", **request_of(one))
            assert answer.status_code == 422, (name, answer.text)
            assert "repeated" in [error["code"] for error in answer.json()["errors"]]


async def test_page_that_repeats_what_its_url_says_is_read(api: httpx.AsyncClient, queue: str) -> None:
    answer = await api.get(f"/v1/jobs?queue={queue}&limit=5&limit=5")
    assert answer.status_code == 200, answer.text


async def test_stranger_learns_nothing_of_parameters(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/jobs?statuss=1", headers={"Authorization": "Bearer none"})).status_code in {401, 429}


async def test_long_name_is_cut(api: httpx.AsyncClient) -> None:
    assert pointers(await api.get("/v1/jobs", params={"x" * 9_000: ""})) == ["?" + "x" * 255]


@pytest.mark.parametrize("one", [one for one in OPERATIONS if one not in CLOSED], ids=name_of)
async def test_other_paths_take_any_parameter(api: httpx.AsyncClient, one: Operation) -> None:
    plain = await api.request(one.method, one.url, **request_of(one))
    more = await api.request(one.method, one.url, params={"_": "1"}, **request_of(one))
    assert more.status_code == plain.status_code, more.text


@pytest.mark.parametrize("path", [*OPEN, "/", "/docs", "/docs/problems", "/openapi.json", "/static/jobtrack.css"])
async def test_pages_and_probes_take_any_parameter(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(f"{path}?api=native&_=1")).status_code == 200


async def test_items_of_several_statuses(api: httpx.AsyncClient, create: Create) -> None:
    job = await create(engine="e", claim={"worker": "w"}, items=[{"key": key} for key in "abcdef"])
    statuses = dict(zip("abcde", ["failed", "skipped", "completed", "failed", "processing"], strict=True))
    items = [{"key": key, "status": status} for key, status in statuses.items()]
    body = {"token": job["lease"]["token"], "items": items}
    assert (await api.post(f"/v1/jobs/{job['id']}/report", json=body)).status_code == 200
    path = f"/v1/jobs/{job['id']}/items"
    for chosen, keys in ((["failed"], "ad"), (["failed", "skipped"], "abd"), (["skipped", "queued"], "bf")):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            params: dict[str, Any] = {"status": chosen, "limit": 1, **({"cursor": cursor} if cursor else {})}
            page = (await api.get(path, params=params)).json()
            seen += [item["key"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert "".join(seen) == keys
    begun = (await api.get(path, params={"status": ["failed", "skipped"], "limit": 1})).json()["next_cursor"]
    same = await api.get(path, params={"status": ["skipped", "failed"], "cursor": begun})
    assert [item["key"] for item in same.json()["items"]] == ["b", "d"]
    assert (await api.get(path, params={"status": "failed", "cursor": begun})).status_code == 422
    assert (await api.get(path, params={"status": ["failed", "nonsense"]})).status_code == 422
