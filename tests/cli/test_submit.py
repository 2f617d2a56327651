"""`jobtrack jobs submit`: every field of a creation, and the wait for what it created."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.cli.exits import Exit
from tests.cli.commands import reach, run
from tests.cli.in_process import COMMANDS, Command, Ended, command
from tests.service_process import ServiceProcess

__all__ = ["command"]


@pytest.fixture
def queue() -> str:
    return f"submit-{uuid4()}"


def _submitted(service: ServiceProcess, command: Command, *options: str, stdin: bytes = b"") -> Any:
    ended = command("jobs", "submit", "t", *options, "--json", stdin=stdin, environment=reach(service))
    assert ended.code == 0, ended
    return json.loads(ended.out)


def _refused(service: ServiceProcess, command: Command, *options: str, stdin: bytes = b"") -> str:
    ended: Ended = command("jobs", "submit", "t", *options, stdin=stdin, environment=reach(service))
    assert (ended.code, ended.out, ended.err.count("\n")) == (Exit.USAGE, "", 1), ended
    return ended.err


def test_every_field_of_a_creation_can_be_set(service: ServiceProcess, command: Command, queue: str) -> None:
    job = _submitted(
        service, command,
        "--queue", queue, "--engine", "airflow", "--collection", "docs", "--payload", "[1]", "--priority", "3",
        "--label", "team=x", "--at", "2030-01-01T08:00:00Z", "--expires-at", "2031-01-01T08:00:00+02:00",
        "--max-attempts", "7", "--item", "a.pdf", "--item", "b.pdf",
    )  # fmt: skip
    expected = {
        "queue": queue, "engine": "airflow", "collection": "docs", "payload": [1], "priority": 3,
        "labels": {"team": "x"}, "scheduled_at": "2030-01-01T08:00:00.000Z", "max_attempts": 7,
        "expires_at": "2031-01-01T06:00:00.000Z",
    }  # fmt: skip
    assert {name: job[name] for name in expected} == expected
    assert job["counts"]["total"] == 2


def test_no_field_of_a_creation_is_missing() -> None:
    """But `claim`, which makes the caller a worker."""
    document = json.loads((Path(__file__).parents[2] / "openapi/native.json").read_text())
    fields = set(document["components"]["schemas"]["JobIn"]["properties"]) - {"claim"}
    names = {"kind": "type", "label": "labels", "at": "scheduled_at", "retry_delay": "retry"}
    names["expected"] = "expected_seconds"
    options = {names.get(option.name, option.name) for option in COMMANDS["jobs", "submit"].params}
    assert fields <= options


def test_times_from_now_are_those_of_this_machine(service: ServiceProcess, command: Command, queue: str) -> None:
    job = _submitted(service, command, "--queue", queue, "--in", "90m", "--expires-in", "2d")
    for name, delay in (("scheduled_at", timedelta(minutes=90)), ("expires_at", timedelta(days=2))):
        assert abs(datetime.fromisoformat(job[name]) - datetime.now(UTC) - delay) < timedelta(minutes=1)
    both = _refused(service, command, "--in", "1h", "--at", "2030-01-01")
    assert both == "jobtrack: Pass --at or --in, not both.\n"


async def test_retry_is_set_as_far_as_it_is_named(
    service: ServiceProcess, api: httpx.AsyncClient, command: Command, queue: str
) -> None:
    options = ("--retry-delay", "86400", "--retry-max-delay", "86400", "--retry-factor", "1")
    job = _submitted(service, command, "--queue", queue, *options)
    await _ending(api, queue, "fail", code="c", message="m")
    retrying = (await api.get(f"/v1/jobs/{job['id']}")).json()
    assert retrying["status"] == "retrying"
    # A random part of the delay, which is a second by default.
    assert datetime.fromisoformat(retrying["scheduled_at"]) > datetime.now(UTC) + timedelta(seconds=5)
    assert "/retry/factor" in _refused(service, command, "--retry-factor", "0.5")


ITEMS = {
    "keys": b"a.pdf\r\n\n\xe6\x97\xa5.pdf\n",
    "objects": '{"key": "a.pdf", "size_bytes": 3}\n{"key": "日.pdf", "uri": "s3://x/y"}\n'.encode(),
    "list": '["a.pdf", {"key": "日.pdf"}]'.encode(),
    "with a mark": b"\xef\xbb\xbfa.pdf\n\xe6\x97\xa5.pdf",
}


@pytest.mark.parametrize("content", ITEMS.values(), ids=ITEMS.keys())
@pytest.mark.parametrize("source", ["file", "stdin"])
async def test_items_come_from_a_file_or_standard_input(
    service: ServiceProcess,
    api: httpx.AsyncClient,
    command: Command,
    tmp_path: Path,
    content: bytes,
    source: str,
) -> None:
    file = tmp_path / "items"
    file.write_bytes(content)
    job = _submitted(service, command, "--items", "-" if source == "stdin" else f"@{file}", stdin=content)
    items = (await api.get(f"/v1/jobs/{job['id']}/items")).json()["items"]
    assert [item["key"] for item in items] == ["a.pdf", "日.pdf"]


@pytest.mark.parametrize(
    ("options", "content", "reason"),
    [
        (("--items", "a.pdf"), b"", "--items is @FILE or -"),
        (("--items", "-"), b"[1", "--items is not JSON"),
        (("--items", "-"), b"\xff\xfe", "--items is not text in UTF-8"),
        (("--items", "-"), b'{"key": "a", "size": 1}', "/items/0/size"),
        (("--items", "-"), b"\n".join(b"%d" % n for n in range(1001)), "/items: "),
        (("--items", "@/nonexistent"), b"", "--items cannot be read"),
        (("--items", "-", "--payload", "-"), b"[]", "--payload and --items cannot both"),
        (("--timeout", "3"), b"", "--timeout is for --wait"),
        (("--idempotency-key", "k", "--in", "1h"), b"", "--idempotency-key needs the same job each time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_sent_is_named(
    service: ServiceProcess, command: Command, options: tuple[str, ...], content: bytes, reason: str
) -> None:
    assert reason in _refused(service, command, *options, stdin=content)


def test_repeat_with_its_idempotency_key_is_one_job(service: ServiceProcess, command: Command, queue: str) -> None:
    options = ("--queue", queue, "--idempotency-key", queue)
    assert _submitted(service, command, *options)["id"] == _submitted(service, command, *options)["id"]


async def _ending(api: httpx.AsyncClient, queue: str, action: str, **fields: object) -> None:
    jobs: list[Any] = []
    while not jobs:
        answer = await api.post("/v1/claims", json={"worker": "me", "queues": [queue], "wait": 20})
        jobs = answer.json()["jobs"]
    body = {"token": jobs[0]["lease"]["token"], **fields}
    assert (await api.post(f"/v1/jobs/{jobs[0]['id']}/{action}", json=body)).status_code == 200


async def test_wait_ends_as_the_job_did(service: ServiceProcess, api: httpx.AsyncClient, queue: str) -> None:
    waiting = asyncio.create_task(run("jobs", "submit", "t", "--queue", queue, "--wait", **reach(service)))
    await _ending(api, queue, "fail", code="broken", message="It broke", retryable=False)
    done = await waiting
    assert (done.returncode, done.stdout.split(" ", 1)[1]) == (1, "failed: broken: It broke\n")
    first, *progress = done.stderr.splitlines()
    assert first == f"jobtrack: Submitted {done.stdout.split()[0]}."
    assert progress[-1].endswith("failed, 0 %")


async def test_wait_in_json_is_the_job_with_its_result(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    options = ("--queue", queue, "--wait", "--json")
    waiting = asyncio.create_task(run("jobs", "submit", "t", *options, **reach(service)))
    await _ending(api, queue, "complete", result=[42])
    done = await waiting
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["result"] == [42]
    late = await run("jobs", "submit", "t", *options, "--timeout", "0", **reach(service))
    assert (late.returncode, json.loads(late.stdout)["status"]) == (Exit.TIMED_OUT, "pending")
