"""The commands that follow a job, and what their exit codes tell a script that goes on behind them."""

import asyncio
import io
import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.exits import Exit
from app.cli.progress import Board
from jobtrack_client import JobtrackClient
from tests.cli.commands import UNKNOWN, reach, run
from tests.service_process import ServiceProcess

NOBODY = {"JOBTRACK_URL": "http://127.0.0.1:1", "JOBTRACK_API_KEY": "k" * 32}


async def _ended(api: httpx.AsyncClient, action: str, **fields: object) -> str:
    made = (await api.post("/v1/jobs", json={"type": "cli", "engine": "test", "claim": {"worker": "me"}})).json()
    path, token = f"/v1/jobs/{made['id']}", {"token": made["lease"]["token"]}
    if action == "complete":
        await api.post(f"{path}/report", json={**token, "items": [{"key": "a", "status": "failed"}]})
    answer = await api.post(f"{path}/{action}", json={**token, **fields})
    assert answer.status_code == 200, answer.text
    return str(made["id"])


async def test_watch_and_wait_exit_by_how_the_job_ended(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    failed = await _ended(api, "fail", code="c", message="m", retryable=False)
    partly = await _ended(api, "complete")
    cancelled = (await api.post("/v1/jobs", json={"type": "cli", "engine": "test"})).json()["id"]
    await api.post(f"/v1/jobs/{cancelled}/cancel")
    expected = {failed: Exit.JOB_FAILED, cancelled: Exit.JOB_FAILED, partly: Exit.OK, UNKNOWN: Exit.NOT_FOUND}
    done = await asyncio.gather(*(run("jobs", "watch", job_id, **reach(service)) for job_id in expected))
    assert [one.returncode for one in done] == [*expected.values()], [one.stderr for one in done]
    assert (await run("jobs", "wait", failed, partly, **reach(service))).returncode == Exit.JOB_FAILED


async def test_wait_whose_time_is_over_is_8(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    job_id = (await api.post("/v1/jobs", json={"type": "cli", "engine": "test"})).json()["id"]
    assert (await run("jobs", "wait", job_id, "--timeout", "0", **reach(service))).returncode == Exit.TIMED_OUT


async def test_address_where_nobody_answers_is_said_at_once() -> None:
    commands = (("wait", UNKNOWN), ("watch", UNKNOWN), ("logs", UNKNOWN, "-f"))
    done = await asyncio.wait_for(asyncio.gather(*(run("jobs", *command, **NOBODY) for command in commands)), 20)
    assert [one.returncode for one in done] == [Exit.UNREACHABLE] * 3
    assert all(one.stderr.count("\n") == 1 for one in done)


def test_wait_for_a_job_that_is_deleted_meanwhile_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have failed while the service was away: its end was never seen."""
    job = {"id": UNKNOWN, "status": "running", "stage": None, "progress": 0, "version": 1, "completed_at": None}
    job |= {"eta": None, "error": None}

    def answer(request: httpx.Request) -> httpx.Response:
        is_first = json.loads(request.content)["wait"] == 0
        found = (
            {"jobs": [{**job, "counts": {"total": 0}}], "not_found": []}
            if is_first
            else {"jobs": [], "not_found": [UNKNOWN]}
        )
        return httpx.Response(200, json={**found, "ended_by": "timeout" if is_first else "condition"})

    stub = httpx.MockTransport(answer)
    monkeypatch.setattr("app.cli.jobs.client", lambda url: JobtrackClient(url, "key", transport=stub))
    done = CliRunner().invoke(app, ["jobs", "wait", UNKNOWN])
    assert done.exit_code == Exit.NOT_FOUND
    assert f"Deleted before its end was seen: {UNKNOWN}." in done.stderr


async def test_stage_that_reads_as_markup_is_shown_as_it_is(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    """Rich raises on a closing tag that closes nothing."""
    stage = "[/x] \x1b[2J"
    made = (await api.post("/v1/jobs", json={"type": "cli", "engine": "test", "claim": {"worker": "me"}})).json()
    path, token = f"/v1/jobs/{made['id']}", {"token": made["lease"]["token"]}
    await api.post(f"{path}/report", json={**token, "stage": stage})
    done = await run("jobs", "wait", made["id"], "--timeout", "0", **reach(service))
    assert (done.returncode, done.stderr) == (Exit.TIMED_OUT, f"{made['id']}, running [/x] \\x1b[2J, 0 %\n")


def test_bar_shows_a_stage_that_reads_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    counts = {"total": 2, "processed": 1, "failed": 0, "skipped": 0}
    job: Any = {"id": UNKNOWN, "status": "running", "stage": "[/x]", "progress": 50, "counts": counts}
    job |= {"completed_at": None, "eta": None}
    with Board() as board:
        board.show([job])
    assert "running [/x]" in screen.getvalue()
