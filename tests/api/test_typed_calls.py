"""Calls whose bodies are read by their types, beside the same calls read in the ordinary way: answers and rows."""

import json
import re
from typing import Any

import asyncpg
import httpx
import pytest

from app.api.fields import Body
from app.api.jobs.wire import JobsIn
from app.api.workers.wire import ReportsIn
from app.db.opening import asyncpg_dsn
from app.web.body import BATCH_BODY
from tests.api.body_values import UNKNOWN, VALUES
from tests.api.corpus import NO_BODY, NO_JSON
from tests.conftest import StartService

OWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|20\d\d-\d\d-\d\d[T ][\d:.]+(Z|\+00)?|(?<=in_seconds\":)[\d.]+")
OF_JOB = "WHERE (o.project_id, o.job_id) = (j.project_id, j.id)"
STORED = f"""
    SELECT j.*, (SELECT payload FROM payloads o {OF_JOB}), (SELECT checkpoint FROM checkpoints o {OF_JOB}),
           (SELECT result FROM results o {OF_JOB}) AS result, (SELECT billing FROM results o {OF_JOB}) AS billing,
           (SELECT json_build_array(o.stage, o.message, o.progress, o.items_count, o.log_lines) FROM runs o {OF_JOB}),
           (SELECT json_agg(o ORDER BY o.position) FROM items o {OF_JOB}) AS items,
           (SELECT json_agg(o.value ORDER BY o.name) FROM job_labels o {OF_JOB}) AS job_labels
    FROM jobs j ORDER BY j.id
"""
LONG, OK = 5_000, 200
SAMPLE = {"id": UNKNOWN, "lease": {"token": UNKNOWN}}
HEADERS = {"Content-Type": "application/json"}


def otherwise(body: bytes, name: str) -> bytes:
    """The same body, odd to the types: the first of a key that comes twice has no meaning."""
    return body.replace(b"{", b'{"%s": 0, ' % name.encode(), 1)


def chosen(model: type[Body], bodies: list[bytes]) -> list[bytes]:
    """All bodies that the types take, and some of the others."""
    read = model.typed_reader
    assert read is not None
    return [body for n, body in enumerate(bodies) if n % 10 == 0 or read(body, BATCH_BODY) is not None]


async def both(api: httpx.AsyncClient, url: str, name: str, body: bytes) -> tuple[httpx.Response, httpx.Response]:
    """Send a body both ways; the answers are alike but for ids and times."""
    typed = await api.post(url, content=body, headers=HEADERS)
    ordinary = await api.post(url, content=otherwise(body, name), headers=HEADERS)
    assert alike(typed, ordinary), body[:200]
    return typed, ordinary


def alike(typed: httpx.Response, ordinary: httpx.Response) -> bool:
    """Whether two answers differ by nothing but ids and times."""
    return (typed.status_code, OWN.sub("", typed.text)) == (ordinary.status_code, OWN.sub("", ordinary.text))


async def stored(url: str) -> list[str]:
    """Every job with all that belongs to it, without ids and times."""
    connection = await asyncpg.connect(asyncpg_dsn(url))
    rows = await connection.fetch(STORED)
    await connection.close()
    shown = ([str(value) for value in row.values() if not isinstance(value, bytes)] for row in rows)
    return [OWN.sub("", json.dumps(row)) for row in shown]


async def test_jobs_are_answered_and_stored_alike(start_service: StartService, database_url: str) -> None:
    service = await start_service()
    fields = ("payload", "labels", "items", "retry", "scheduled_at", "expires_at", "priority", "queue", "claim")
    rows = [f'{{"type": "t", "{field}": {value}}}' for field in fields for value in VALUES if len(value) < LONG]
    bodies = chosen(JobsIn, [f'{{"jobs": [{row}]}}'.encode("utf-8", "surrogatepass") for row in rows])
    created = 0
    async with service.client() as api:
        for body in [*bodies, *NO_JSON, *NO_BODY]:
            typed, _ = await both(api, "/v1/jobs/batch", "jobs", body)
            created += typed.status_code == OK and "job" in typed.json()["results"][0]
        found = await stored(database_url)
        assert len(found) == 2 * created > 2 * 100
        assert found[0::2] == found[1::2]
        labelled = ['{"labels": {"a": "b"}}', '{"labels": {"a": "c"}, "engine": "e"}']
        several = ["{}", '{"payload": [1e3, "é"]}', "7", *labelled]
        rows = [row.replace("{", '{"type": "t", ', 1).replace(", }", "}") for row in several]
        for some in (rows, rows[:2], rows[3:], [row for row in rows for _ in range(3) if row != "7"]):
            await both(api, "/v1/jobs/batch", "jobs", f'{{"jobs": [{",".join(some)}]}}'.encode())


async def test_reports_are_answered_and_stored_alike(start_service: StartService, database_url: str) -> None:
    service = await start_service()
    fields = [
        *(("report", field) for field in ("checkpoint", "items", "progress")),
        ("complete", "result"),
        ("fail", "retry_after_seconds"),
        ("release", "token"),
    ]
    cases = [(action, field, value) for action, field in fields for value in VALUES if len(value) < LONG]
    cases = [case for case in cases if chosen(ReportsIn, [b"", report_of(SAMPLE, *case)])[1:]]
    row = {"type": "t", "engine": "e", "claim": {"worker": "w", "lease_seconds": None}}
    done = 0
    async with service.client() as api:
        for body in (*NO_JSON, *NO_BODY):
            await both(api, "/v1/reports", "reports", body)
        for start in range(0, len(cases), 500):
            part = cases[start : start + 500]
            answer = await api.post("/v1/jobs/batch", json={"jobs": [row] * 2 * len(part)})
            jobs = iter([result["job"] for result in answer.json()["results"]])
            for action, field, value in part:
                calls = [report_of(next(jobs), action, field, value) for _ in range(2)]
                typed = await api.post("/v1/reports", content=calls[0], headers=HEADERS)
                ordinary = await api.post("/v1/reports", content=otherwise(calls[1], "reports"), headers=HEADERS)
                assert alike(typed, ordinary), (action, field, value[:100])
                done += typed.status_code == OK and "outcome" in typed.json()["results"][0]
    assert done > 100
    found = await stored(database_url)
    assert found[0::2] == found[1::2]


def report_of(job: dict[str, Any], action: str, field: str, value: str) -> bytes:
    """A call about a job with one field of this value."""
    call = {"job_id": job["id"], "action": action, "token": job["lease"]["token"]}
    more = {"code": "c", "message": "m"} if action == "fail" else {}
    plain = json.dumps({name: each for name, each in {**call, **more}.items() if name != field})
    return f'{{"reports": [{plain[:-1]}, "{field}": {value}}}]}}'.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("first", ["typed", "ordinary"])
async def test_repeat_under_a_key_is_the_same_whichever_way_it_comes(api: httpx.AsyncClient, first: str) -> None:
    def sent(body: str, name: str, turn: int) -> bytes:
        is_typed = (first == "typed") == (turn == 0)
        return body.encode() if is_typed else otherwise(body.encode(), name)

    batch = '{"jobs": [{"type": "t", "payload": {"n": -0.0, "\u00e9": 1e3}, "claim": {"worker": "w"}}, {"type": "u"}]}'
    keyed = HEADERS | {"Idempotency-Key": f"both-{first}"}
    answers = [await api.post("/v1/jobs/batch", content=sent(batch, "jobs", n), headers=keyed) for n in range(2)]
    jobs = [[row["job"] for row in answer.json()["results"]] for answer in answers]
    assert [job["id"] for job in jobs[0]] == [job["id"] for job in jobs[1]]
    payloads = [[job["payload"] for job in made] for made in jobs]
    assert payloads == [[{"n": -0.0, "é": 1e3}, None]] * 2
    assert ["Idempotency-Replayed" in answer.headers for answer in answers] == [False, True]
    row = {"job_id": jobs[0][0]["id"], "action": "complete", "token": jobs[0][0]["lease"]["token"], "result": [1e3]}
    reports = json.dumps({"reports": [row]})
    answers = [await api.post("/v1/reports", content=sent(reports, "reports", n), headers=keyed) for n in range(2)]
    assert ["Idempotency-Replayed" in answer.headers for answer in answers] == [False, True]
    assert answers[0].json() == answers[1].json()
    other = await api.post("/v1/jobs/batch", content=batch.replace('"u"', '"v"').encode(), headers=keyed)
    assert other.status_code == 422, other.text


@pytest.mark.parametrize("url", ["/v1/jobs/batch", "/v1/reports", f"/v1/jobs/{UNKNOWN}/report"])
async def test_what_is_not_declared_as_json_is_not_read(api: httpx.AsyncClient, url: str) -> None:
    body = json.dumps({"jobs": [{"type": "t"}]} if "batch" in url else {"token": UNKNOWN}).encode()
    assert (await api.post(url, content=body, headers={"Content-Type": "text/plain"})).status_code == 415
