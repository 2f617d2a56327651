"""The commands about jobs, queues, keys and settings, as scripts and people run them."""

import asyncio
import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.commands import reach, run
from tests.service_process import ROOT, ServiceProcess


@pytest.fixture
def queue() -> str:
    return f"cli-{uuid.uuid4()}"


async def printed(service: ServiceProcess, *arguments: str) -> Any:
    done = await run(*arguments, "--json", **reach(service))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_job_is_submitted_listed_cancelled_rerun_and_deleted(service: ServiceProcess, queue: str) -> None:
    options = ("--queue", queue, "--payload", '{"a": 1}', "--label", "team=x", "--priority", "3")
    job_id = (await run("jobs", "submit", "work", *options, **reach(service))).stdout.strip()
    [listed] = (await printed(service, "jobs", "list", "--queue", queue, "--label", "team=x"))["jobs"]
    assert (listed["id"], listed["priority"], listed["labels"]) == (job_id, 3, {"team": "x"})
    plain = await run("jobs", "list", "--queue", queue, COLUMNS="40", **reach(service))
    assert plain.stdout.split("\t")[:3] == [job_id, "pending", "work"]
    cancelled = await run("jobs", "cancel", job_id, **reach(service))
    assert cancelled.stdout == f"{job_id} cancelled\n"
    again = await printed(service, "jobs", "rerun", job_id)
    assert again["original_job_id"] == job_id
    assert (await run("jobs", "delete", job_id, **reach(service))).returncode == 0
    gone = await run("jobs", "get", job_id, **reach(service))
    assert (gone.returncode, gone.stdout) == (4, "")
    types = [event["type"] for event in (await printed(service, "jobs", "events", again["id"]))["events"]]
    assert types == ["job.rerun"]


async def test_payload_comes_from_a_file_or_is_refused(service: ServiceProcess, queue: str, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"from": "file"}')
    made = await printed(service, "jobs", "submit", "work", "--queue", queue, "--payload", f"@{file}")
    assert made["payload"] == {"from": "file"}
    for payload in ("{", "@/nonexistent"):
        wrong = await run("jobs", "submit", "work", "--payload", payload, **reach(service))
        assert wrong.returncode == 2
        assert "Traceback" not in wrong.stderr


async def test_input_goes_with_the_job(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str, tmp_path: Path
) -> None:
    file = tmp_path / "input.bin"
    file.write_bytes(bytes(range(256)) * 1000)
    made = await printed(service, "jobs", "submit", "work", "--queue", queue, "--input", str(file))
    assert (await api.get(f"/v1/jobs/{made['id']}/input")).content == file.read_bytes()
    assert (await run("jobs", "submit", "work", "--input", "/nonexistent", **reach(service))).returncode == 2


async def test_many_are_changed_only_when_that_is_meant(service: ServiceProcess, queue: str) -> None:
    for _ in range(3):
        await run("jobs", "submit", "work", "--queue", queue, **reach(service))
    unsure = await run("jobs", "cancel", "--queue", queue, **reach(service))
    assert (unsure.returncode, "3 jobs match" in unsure.stderr) == (2, True)
    assert (await printed(service, "jobs", "cancel", "--queue", queue, "--dry-run"))["matched"] == 3
    assert (await printed(service, "jobs", "cancel", "--queue", queue, "--yes"))["changed"] == 3
    assert (await printed(service, "jobs", "rerun", "--queue", queue, "--yes"))["changed"] == 3
    assert (await run("jobs", "cancel", **reach(service))).returncode == 2


async def _held(api: httpx.AsyncClient) -> tuple[str, str]:
    body = {"type": "cli", "engine": "test", "claim": {"worker": "me"}}
    made = (await api.post("/v1/jobs", json=body)).json()
    return made["id"], made["lease"]["token"]


async def test_log_is_followed_to_its_end(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    job_id, token = await _held(api)
    following = asyncio.create_task(run("jobs", "logs", job_id, "--follow", **reach(service)))
    for message in ("first", "second"):
        await api.post(f"/v1/jobs/{job_id}/report", json={"token": token, "logs": [{"message": message}]})
    await api.post(f"/v1/jobs/{job_id}/complete", json={"token": token})
    done = await following
    assert done.returncode == 0
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["first", "second"]
    assert (await run("jobs", "logs", job_id, **reach(service))).stdout == done.stdout


async def test_files_are_listed_by_status(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    job_id, token = await _held(api)
    items = [{"key": "a", "status": "completed"}, {"key": "b", "status": "failed", "error_code": "broken"}]
    await api.post(f"/v1/jobs/{job_id}/report", json={"token": token, "items": items})
    failed = await run("jobs", "files", job_id, "--status", "failed", **reach(service))
    assert failed.stdout == "b\tfailed\t\tbroken\n"
    none = await run("jobs", "files", job_id, "--status", "skipped", **reach(service))
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "The job has no such files.\n")


async def test_watch_tells_a_job_to_its_end(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    job_id, token = await _held(api)
    watching = asyncio.create_task(run("jobs", "watch", job_id, "--json", **reach(service)))
    await api.post(f"/v1/jobs/{job_id}/complete", json={"token": token})
    done = await watching
    assert done.returncode == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[0]["event"] == "snapshot"
    assert told[-1]["data"]["status"] == "completed"


async def test_watching_ends_with_ctrl_c(service: ServiceProcess, api: httpx.AsyncClient, queue: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "jobs", "watch", "--queue", queue, "--json",
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", **reach(service)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["event"] == "snapshot"
    await api.post("/v1/jobs", json={"type": "t", "queue": queue})
    assert json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["event"] == "job.created"
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors) == (130, b"")


async def test_pipe_that_closes_early_is_no_error(service: ServiceProcess, api: httpx.AsyncClient, queue: str) -> None:
    await api.post("/v1/jobs/batch", json={"jobs": [{"type": "t" * 255, "queue": queue}] * 1000})
    command = f"'{sys.executable}' -m app.cli jobs list --all --queue {queue} | head -n 1"
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", command,
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", **reach(service)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert (len(out.splitlines()), errors) == (1, b"")


async def test_queues_are_seen_and_steered(service: ServiceProcess, queue: str) -> None:
    made = await printed(service, "queues", "set", queue, "--concurrency-limit", "4", "--retention-seconds", "600")
    assert (made["concurrency_limit"], made["retention"]) == (4, {"seconds": 600, "failed_seconds": None})
    assert (await printed(service, "queues", "pause", queue))["paused"] is True
    kept = await printed(service, "queues", "set", queue, "--retention-failed-seconds", "0")
    assert (kept["paused"], kept["concurrency_limit"]) == (True, 4)
    assert kept["retention"] == {"seconds": 600, "failed_seconds": 0}
    for option, field, value in (
        (("--expected-seconds", "90"), "expected_seconds", 90),
        (("--expected-seconds", "0"), "expected_seconds", None),
        (("--default-retention",), "retention", None),
    ):
        assert (await printed(service, "queues", "set", queue, *option))[field] == value
    both = await run("queues", "set", queue, "--default-retention", "--retention-seconds", "0", **reach(service))
    assert both.returncode == 2
    assert "not both" in both.stderr
    assert (await printed(service, "queues", "resume", queue))["paused"] is False
    assert queue in [one["name"] for one in (await printed(service, "queues", "list"))["queues"]]
    listed = [line.split("\t") for line in (await run("queues", "list", **reach(service))).stdout.splitlines()]
    assert [queue, "open", *("0",) * 7, "4", "", "0", "0"] in listed
    assert "limit:       0 of 4\n" in (await run("queues", "show", queue, **reach(service))).stdout
    assert (await run("queues", "delete", queue, **reach(service))).returncode == 0
    # A queue that nobody has set up has the defaults.
    assert "limit:       none\n" in (await run("queues", "show", queue, **reach(service))).stdout


async def test_keys_are_made_and_revoked(service: ServiceProcess) -> None:
    key = (await run("keys", "create", "cli", "--scope", "read", **reach(service))).stdout.strip()
    assert key.startswith("jt_")
    mine = {**reach(service), "JOBTRACK_API_KEY": key}
    assert (await run("jobs", "list", **mine)).returncode == 0
    assert (await run("keys", "list", **mine)).returncode == 5
    key_id = key.split("_")[1]
    assert key_id in (await run("keys", "list", **reach(service))).stdout
    assert (await run("keys", "revoke", key_id, **reach(service))).returncode == 0
    assert (await run("jobs", "list", **mine)).returncode == 5


async def test_settings_are_shown_with_their_origin_and_no_secret(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("k" * 40)
    done = await run(
        "config", "show", "--json",
        JOBTRACK_DATABASE_URL="postgresql://me:hunter2@db/x", PORT="9000",
        JOBTRACK_BOOTSTRAP_KEY_FILE=str(secret), JOBTRACK_PROT="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    by_name = {row["setting"]: row for row in shown["settings"]}
    assert by_name["JOBTRACK_DATABASE_URL"]["value"] == "postgresql://me:***@db/x"
    assert (by_name["JOBTRACK_PORT"]["value"], by_name["JOBTRACK_PORT"]["origin"]) == ("9000", "environment PORT")
    assert by_name["JOBTRACK_BOOTSTRAP_KEY"]["origin"] == "file JOBTRACK_BOOTSTRAP_KEY_FILE"
    assert by_name["JOBTRACK_HOST"]["origin"] == "default"
    assert "hunter2" not in done.stdout
    assert "kkkk" not in done.stdout
    assert shown["warnings"] == ["JOBTRACK_PROT is not a setting of Jobtrack; did you mean JOBTRACK_PORT?"]
