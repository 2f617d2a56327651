"""JSON as some languages write it: integers with a fraction of zero, and a byte order mark, in every document."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.example_values import forms, valid
from tests.api.operations import OPERATIONS, Operation, name_of

WITH_BODY = [one for one in OPERATIONS if one.schema() is not None]
Spot = tuple[str | int, ...]
DEPTH = 5


def integers(document: str, schema: dict[str, Any], at: Spot = ()) -> Iterator[tuple[Spot, int]]:
    """Find every integer that a body may hold: its place, and a value that it may have."""
    for form in forms(document, schema):
        if form.get("type") == "integer":
            yield at, max(2, form.get("minimum", 0), form.get("exclusiveMinimum", 0) + 1)
        elif form.get("type") == "array" and len(at) < DEPTH:
            yield from integers(document, form.get("items", {}), (*at, 0))
        elif form.get("type") == "object" and len(at) < DEPTH:
            for name, below in form.get("properties", {}).items():
                yield from integers(document, below, (*at, name))
            if isinstance(more := form.get("additionalProperties"), dict):
                yield from integers(document, more, (*at, "x"))


def placed(body: Any, spot: Spot, value: Any) -> Any:
    """Return a copy of the body with a value in a place, and what must be around it."""
    body = copy.deepcopy(body)
    node = body
    for step, following in zip(spot, (*spot[1:], None), strict=True):
        empty: Any = [] if isinstance(following, int) else {}
        below = value if following is None else empty
        if isinstance(node, list):
            if not node:
                node.append(below)
            elif following is None:
                node[0] = value
            node = node[0]
        else:
            if following is None or not isinstance(node.get(step), dict | list):
                node[step] = below
            node = node[step]
    return body


SPOTS = [
    pytest.param(one, spot, value, id=f"{name_of(one)} {'/'.join(map(str, spot))}")
    for one in WITH_BODY
    for spot, value in dict(integers(one.document, one.schema() or {})).items()
]


def shape(answer: httpx.Response) -> tuple[int, list[Any]]:
    """The status, and what was wrong in which place."""
    body = answer.json() if answer.content else {}
    found = body if isinstance(body, dict) else {}
    rows = [row.get("problem") or {} for row in found.get("results", ()) if isinstance(row, dict)]
    errors = [error for part in (found, *rows) for error in part.get("errors", part.get("validation", ())) or ()]
    return answer.status_code, [(error.get("pointer", error.get("path")), error["code"]) for error in errors]


def test_there_are_integers_in_several_documents() -> None:
    assert {one.values[0].document for one in SPOTS} >= {"native", "immuta", "captain", "llamacloud"}  # type: ignore[union-attr]
    assert len(SPOTS) > 15


@pytest.mark.parametrize(("one", "spot", "value"), SPOTS)
async def test_integer_with_a_fraction_of_zero_is_one(
    api: httpx.AsyncClient, one: Operation, spot: Spot, value: int
) -> None:
    body = valid(one.document, one.schema() or {})
    as_integer = await api.request(one.method, one.url, json=placed(body, spot, value))
    as_float = await api.request(one.method, one.url, json=placed(body, spot, float(value)))
    assert shape(as_float) == shape(as_integer), as_float.text
    for wrong in (value + 0.5, True, str(value)):
        refused = await api.request(one.method, one.url, json=placed(body, spot, wrong))
        assert refused.status_code in {400, 422} or any(shape(refused)[1]), (wrong, refused.text)


async def test_query_takes_it_too(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/jobs?limit=5.0")).status_code == 200
    assert (await api.get("/v1/jobs?limit=5.5")).status_code == 422


async def test_stored_number_keeps_its_form(api: httpx.AsyncClient) -> None:
    made = await api.post("/v1/jobs", json={"type": "t", "payload": [30.0, 30], "priority": 5.0})
    assert (made.json()["priority"], json.dumps(made.json()["payload"])) == (5, "[30.0, 30]")


@pytest.mark.parametrize("one", WITH_BODY, ids=name_of)
async def test_byte_order_mark_before_json_is_skipped(api: httpx.AsyncClient, one: Operation) -> None:
    body = json.dumps(valid(one.document, one.schema() or {})).encode()
    headers = {"Content-Type": "application/json"}
    plain = await api.request(one.method, one.url, content=body, headers=headers)
    marked = await api.request(one.method, one.url, content=b"\xef\xbb\xbf" + body, headers=headers)
    assert shape(marked) == shape(plain), marked.text


async def test_repeat_is_the_same_request_with_a_byte_order_mark_and_without(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "byte-order-mark"}
    ids = [
        (await api.post("/v1/jobs", content=mark + b'{"type": "t"}', headers=headers)).json()["id"]
        for mark in (b"", b"\xef\xbb\xbf")
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf\xef\xbb\xbf{}", b'{"type": "t"}\xef\xbb\xbf', b"\xef\xbb{}"])
async def test_mark_elsewhere_is_no_json(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
