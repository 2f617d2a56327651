"""The README's tour, line by line against a running service, and its tables against the code."""

import asyncio
import json
import os
import re
import subprocess
import uuid
from typing import Any

import httpx
import pytest

from app.cli.exits import Exit
from app.settings import Settings
from tests.service_process import ROOT, ServiceProcess

README = (ROOT / "README.md").read_text()
_BLOCKS = re.compile(r"```(sh|json)\n(.*?)```", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def compare(expected: Any, real: Any, ids: dict[str, str], where: str = "answer") -> None:
    """Every printed field is in the answer; ids and tokens differ, but one always stands for the same one."""
    if isinstance(expected, dict):
        assert isinstance(real, dict), where
        for name, value in expected.items():
            assert name in real, f"{where}.{name} in {real}"
            compare(value, real[name], ids, f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(expected) == len(real), where
        for place, (one, other) in enumerate(zip(expected, real, strict=True)):
            compare(one, other, ids, f"{where}[{place}]")
    elif isinstance(expected, str) and (found := _ID.match(expected)):
        learned = _ID.match(real)
        assert learned, where
        assert ids.setdefault(found[0], learned[0]) == learned[0], where
        assert expected[found.end() :] == real[learned.end() :], where
    else:
        assert expected == real, where


async def test_the_tour_is_what_happens(service: ServiceProcess) -> None:
    ids: dict[str, str] = {}
    prelude, said, answers = "", "", 0
    for kind, text in _BLOCKS.findall(README):
        if kind == "json":
            compare(json.loads(text), json.loads(said), ids)
            answers += 1
            continue
        command = _ID.sub(lambda found: ids[found[0]], text).replace("http://127.0.0.1:8000", service.url)
        if command.startswith("api() {"):
            prelude = command
            continue
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-euc", prelude + command],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "JOBTRACK_API_KEY": service.api_key},
        )
        said = done.stdout
    assert answers == 9


async def test_the_python_example_is_what_happens(
    service: ServiceProcess,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JOBTRACK_URL", service.url)
    monkeypatch.setenv("JOBTRACK_API_KEY", service.api_key)
    queue = f"readme-{uuid.uuid4()}"
    (example,) = re.findall(r"```python\n(from jobtrack_client import JobFailed.*?)```", README, re.DOTALL)
    running = asyncio.create_task(asyncio.to_thread(exec, example.replace('"docs"', repr(queue)), {}))
    ids = []
    for call in (
        {"action": "complete", "result": {"indexed": 1}},
        {"action": "fail", "code": "no_such_folder", "message": "/more is not a folder", "retryable": False},
    ):
        answer = await api.post("/v1/claims", json={"worker": "w", "queues": [queue], "wait": 20})
        (job,) = answer.json()["jobs"]
        ids.append(job["id"])
        report = {"job_id": job["id"], "token": job["lease"]["token"], **call}
        assert "outcome" in (await api.post("/v1/reports", json={"reports": [report]})).json()["results"][0]
    await asyncio.wait_for(running, 20)
    assert capsys.readouterr().out.splitlines() == [
        "completed {'indexed': 1}",
        f"Job {ids[1]} ended as failed: no_such_folder: /more is not a folder",
    ]


def test_every_setting_and_every_exit_code_is_in_its_table() -> None:
    assert set(re.findall(r"^\| `JOBTRACK_(\w+)`", README, re.MULTILINE)) == {
        *(name.upper() for name in Settings.model_fields),
        "URL",
        "API_KEY",
    }
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)] == list(Exit)
