"""The corpus of inputs that break plain services, over every native operation that takes a body or a query."""

import json
import uuid
from typing import Any

import httpx
import pytest

TOKEN = str(uuid.uuid4())
JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
OPERATIONS: dict[str, dict[str, Any]] = {
    "/v1/jobs": {"type": "hostile", "queue": "hostile"},
    "/v1/jobs/wait": {"ids": [JOB]},
    f"/v1/jobs/{JOB}/rerun": {},
    "/v1/claims": {"worker": "w", "queues": ["hostile-claims"]},
    f"/v1/jobs/{JOB}/report": {"token": TOKEN},
    f"/v1/jobs/{JOB}/complete": {"token": TOKEN},
    f"/v1/jobs/{JOB}/fail": {"token": TOKEN, "code": "c", "message": "m"},
    f"/v1/jobs/{JOB}/release": {"token": TOKEN},
    "/v1/reports": {"reports": [{"job_id": JOB, "action": "release", "token": TOKEN}]},
}

# What stands for a whole body.
BODIES: list[tuple[str, bytes, int]] = [
    ("nothing of JSON", b"{", 400),
    ("NaN", b'{"type": NaN}', 400),
    ("Infinity", b'{"type": -Infinity}', 400),
    ("too large a number", b'{"type": 1e400}', 400),
    ("5,000 digits", b'{"type": ' + b"9" * 5000 + b"}", 400),
    ("65 levels", b'{"type": ' + b"[" * 65 + b"]" * 65 + b"}", 400),
    ("900 levels", b"[" * 900 + b"]" * 900, 400),
    ("100,000 levels", b"[" * 100_000, 400),
    ("two byte order marks", b"\xef\xbb\xbf" * 2 + b"{}", 400),
    ("UTF-16", "{}".encode("utf-16"), 400),
    ("invalid UTF-8", b'{"type": "\xff"}', 400),
    ("raw NUL", b'{"type": "a\x00b"}', 400),
    ("surrogate", b'{"type": "\\ud800"}', 422),
    ("surrogate in a key", b'{"\\ud800": 1}', 422),
    ("surrogate in a field that fails", b'{"priority": "\\udfff"}', 422),
    ("no object", b"[]", 422),
    ("null", b"null", 422),
    ("a long key", b'{"' + b"k" * 300 + b'": 1}', 422),
    ("another field", b'{"state": "completed", "project_id": "x"}', 422),
]

PLACES = ("type", "worker", "stage", "message", "payload", "result", "token", "labels", "ids")


@pytest.mark.parametrize("path", OPERATIONS)
@pytest.mark.parametrize(("body", "status"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_body_is_refused(api: httpx.AsyncClient, path: str, body: bytes, status: int) -> None:
    if body == b"null" and path.endswith("/rerun"):
        status = 404  # this body may be left out, and null is none
    answer = await api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", OPERATIONS)
@pytest.mark.parametrize("place", PLACES)
async def test_nul_is_refused_wherever_it_is(api: httpx.AsyncClient, path: str, place: str) -> None:
    for value in ("a\0b", {"a": ["\0"]}, {"\0": 1}):
        answer = await api.post(path, json={**OPERATIONS[path], place: value})
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("path", OPERATIONS)
async def test_too_many_values(api: httpx.AsyncClient, path: str) -> None:
    count = 500_001 if path == "/v1/reports" else 50_001
    body = b'{"x": [' + b",".join([b"0"] * count) + b"]}"
    answer = await api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


NUMBERS = (2**31, 2**63, 2**64, -(2**63) - 1, 10**300, 1.5, True, "1", -1e308)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/jobs", "priority"),
        ("/v1/jobs", "max_attempts"),
        ("/v1/jobs/wait", "wait"),
        ("/v1/claims", "max"),
        ("/v1/claims", "lease_seconds"),
        (f"/v1/jobs/{JOB}/report", "progress"),
        (f"/v1/jobs/{JOB}/report", "lease_seconds"),
        (f"/v1/jobs/{JOB}/fail", "retry_after_seconds"),
    ],
)
async def test_number_out_of_bounds(api: httpx.AsyncClient, path: str, field: str) -> None:
    for number in NUMBERS:
        if number == 1.5 and field in {"progress", "retry_after_seconds"}:
            continue
        answer = await api.post(path, json={**OPERATIONS[path], field: number})
        assert answer.status_code == 422, (number, answer.text)


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1969-12-31T23:59:59Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "2026-02-30T00:00:00Z",
        "2026-W01-1T00:00:00Z",
        "2026-01-01T00:00:00+99:00",
        1767225600,
        "",
    ],
)
async def test_time_that_is_none(api: httpx.AsyncClient, time: object) -> None:
    answer = await api.post("/v1/jobs", json={"type": "t", "queue": "hostile", "scheduled_at": time})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/scheduled_at"


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00Z", "2026-01-01T02:00:00.1234567+02:00", "2026-01-01t00:00:00z"])
async def test_time_of_rfc_3339(api: httpx.AsyncClient, time: str) -> None:
    answer = await api.post("/v1/jobs", json={"type": "t", "queue": "hostile", "scheduled_at": time})
    assert answer.status_code == 201, answer.text
    assert answer.json()["scheduled_at"].startswith("2026-01-01T00:00:00.")


async def test_duplicate_items_are_refused_or_merged(api: httpx.AsyncClient) -> None:
    twice = {"type": "t", "queue": "hostile", "items": [{"key": "a"}, {"key": "a"}]}
    assert (await api.post("/v1/jobs", json=twice)).status_code == 422
    job = (
        await api.post("/v1/jobs", json={"type": "t", "engine": "e", "claim": {"worker": "w"}, "items": [{"key": "a"}]})
    ).json()
    items = [{"key": "a", "status": "failed"}, {"key": "a", "status": "completed"}, {"key": "b"}, {"key": "b"}]
    body = {"token": job["lease"]["token"], "items": items}
    assert (await api.post(f"/v1/jobs/{job['id']}/report", json=body)).status_code == 200
    counts = (await api.get(f"/v1/jobs/{job['id']}")).json()["counts"]
    assert (counts["processed"], counts["failed"]) == (1, 0)


async def test_text_of_every_kind_comes_back_as_it_went(api: httpx.AsyncClient) -> None:
    payload = {
        "": "\\u0000 \u202e \U0001f600 \x7f \u2028",
        "deep": json.loads("[" * 60 + "]" * 60),
        "n": 2**62,
        "f": 1e-300,
    }
    made = await api.post("/v1/jobs", json={"type": "é" * 255, "queue": "hostile", "payload": payload})
    assert made.status_code == 201, made.text
    read = (await api.get(made.headers["location"])).json()
    assert read["payload"] == payload
    assert read["type"] == "é" * 255


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=%00", 422),
        ("cursor=%00", 422),
        ("limit=%ff", 400),
        ("x=%ff", 400),
        ("x=%c0%80", 400),
        ("limit=-1", 422),
        ("limit=x", 422),
        ("limit=NaN", 422),
        ("limit=" + "9" * 5000, 422),
        ("cursor=%ed%a0%80", 400),
        ("status=nonsense", 422),
        ("limit=1000000000000000000", 404),
        ("limit=0", 404),
        ("unknown=1", 422),
    ],
)
async def test_query(api: httpx.AsyncClient, query: str, status: int) -> None:
    answer = await api.get(f"/v1/jobs/{JOB}/items?{query}")
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("wait", ["-2", "1.5", "NaN", "x", "2147483648", "%00", ""])
async def test_wait_that_is_none(api: httpx.AsyncClient, wait: str) -> None:
    assert (await api.get(f"/v1/jobs/{JOB}?wait={wait}")).status_code == 422


@pytest.mark.parametrize(
    "job_id", ["%00", "%ff", "%ED%A0%80", "..", "a" * 4000, "{" + JOB + "}", JOB.replace("-", ""), "0"]
)
async def test_id_that_is_none(api: httpx.AsyncClient, job_id: str) -> None:
    assert (await api.get(f"/v1/jobs/{job_id}")).status_code == 404
    assert (await api.get(f"/v1/jobs/{job_id}/items")).status_code == 404
    assert (await api.post(f"/v1/jobs/{job_id}/cancel")).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {b"If-None-Match": b'"\xe9"'},
        {b"If-None-Match": b'"'},
        {b"Prefer": b"wait=\xe9"},
        {b"Prefer": b"wait=99999999999999999999"},
        {b"X-Request-ID": b"\xe9"},
        {b"Accept": b"nonsense"},
        {b"X-HTTP-Method-Override": b"DELETE"},
    ],
)
async def test_headers_that_make_no_sense_change_nothing(api: httpx.AsyncClient, headers: dict[bytes, bytes]) -> None:
    assert (await api.get(f"/v1/jobs/{JOB}", headers=headers)).status_code == 404


@pytest.mark.parametrize("value", [b"Bearer \xe9", b"Bearer", b"Basic eDp5", b"Bearer " + b"k" * 9000])
async def test_keys_that_are_none(api: httpx.AsyncClient, value: bytes) -> None:
    answer = await api.get(f"/v1/jobs/{JOB}", headers={b"Authorization": value})
    assert answer.status_code in {401, 429}
