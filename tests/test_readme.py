"""The README's tour and its first workers as they stand, against a live service, and the tables against the code."""

import asyncio
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.exits import Exit
from app.settings import Settings
from jobtrack_client import JobContext, JobtrackClient
from jobtrack_client.testing import run
from tests.readme import FUNCTIONS, README, TOUR, Reached, block, run_script, working
from tests.service_process import ROOT, ServiceProcess

RUNNING = (ROOT / "docs" / "running.md").read_text()
WORKERS = (ROOT / "docs" / "workers.md").read_text()
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


def objects(text: str) -> Iterator[Any]:
    """The JSON objects of a text, one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text.rstrip()):
        found, place = decoder.raw_decode(text, place + len(text[place:]) - len(text[place:].lstrip()))
        yield found


def test_the_tour_is_what_happens(service: ServiceProcess) -> None:
    # Twice: what the first one leaves behind is not in the way of another.
    for _ in range(2):
        said = [line.removeprefix("data: ") for line in run_script(TOUR, Reached.of(service)).splitlines()]
        real = [json.loads(line) for line in said if line.startswith("{")]
        shown = list(objects(block("json", "{")))
        assert len(real) == len(shown) == 9
        ids: dict[str, str] = {}
        for number, (expected, answer) in enumerate(zip(shown, real, strict=True), 1):
            compare(expected, answer, ids, f"answer {number}")


def test_the_first_worker_in_python_is_what_happens(service: ServiceProcess, tmp_path: Path) -> None:
    job_type = f"nightly-{uuid.uuid4()}"
    program = block("python", "from pathlib").replace('"nightly"', f'"{job_type}"')
    (tmp_path / "README.md").write_text("ten bytes.")
    (tmp_path / "worker.py").write_text(program)
    with working([sys.executable, "worker.py"], Reached.of(service), tmp_path):
        creation = block("sh", 'api jobs \'{"type": "nightly"').replace('"nightly"', f'"{job_type}"')
        _, said = run_script(FUNCTIONS + creation, Reached.of(service)).splitlines()
        ended = json.loads(said)
        assert ended["status"] == "completed_with_failures"
        items = httpx.get(
            f"{service.url}/v1/jobs/{ended['id']}/items", headers={"Authorization": f"Bearer {service.api_key}"}
        ).json()["items"]
        assert [(item["key"], item["status"], item["error_code"], item["result"]) for item in items] == [
            ("README.md", "completed", None, {"bytes": 10}),
            ("nowhere.txt", "failed", "file_not_found_error", None),
        ]


def test_the_first_worker_in_bash_is_what_happens(service: ServiceProcess, tmp_path: Path) -> None:
    job_type = f"disk-use-{uuid.uuid4()}"
    program = block("bash", "call() {").replace("disk-use", job_type)
    with (
        working(["bash", "-c", program], Reached.of(service), tmp_path),
        JobtrackClient(service.url, service.api_key) as jobs,
    ):
        (tmp_path / "file").write_bytes(bytes(100_000))
        creation = block("sh", 'api jobs \'{"type": "disk-use"').replace("disk-use", job_type)
        script = FUNCTIONS + creation.replace("/usr/share", str(tmp_path))
        _, said = run_script(script, Reached.of(service)).splitlines()
        assert json.loads(said)["result"]["kib"] >= 97
        missing: list[dict[str, str] | None] = [{"folder": str(tmp_path / "none")}, {}, None]
        for payload, status in (({"folder": str(tmp_path)}, "completed"), *((one, "failed") for one in missing)):
            ended = jobs.wait(jobs.create_job(job_type, payload=payload)["id"], timeout=60)
            assert ended["status"] == status
            if status == "completed":
                assert ended["result"]["kib"] >= 97
            else:
                assert ended["error"] == {"code": "no_folder", "message": "du cannot read it"}


def test_every_page_names_the_client_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    named = {
        (path.name, name)
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"jobtrack_client-[\w.-]+\.whl", path.read_text())
    }
    assert {name for _, name in named} == {f"jobtrack_client-{version}-py3-none-any.whl"}
    assert {"README.md", "workers.md"} <= {page for page, _ in named}


def test_no_page_installs_from_an_index_what_none_has() -> None:
    pages = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "app").rglob("*.py"))
    wrong = re.compile(r"pip install ['\"]?jobtrack")
    assert not [path for path in pages if path.name != "CHANGELOG.md" and wrong.search(path.read_text())]


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
    assert set(re.findall(r"^\| `JOBTRACK_(\w+)`", RUNNING, re.MULTILINE)) == {
        *(name.upper() for name in Settings.model_fields),
        "URL",
        "API_KEY",
    }
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)] == list(Exit)


def test_all_that_a_handler_has_is_in_its_table() -> None:
    has: set[str] = set()

    def look(ctx: JobContext) -> None:
        # The last is the worker's own.
        has.update({name for name in dir(ctx) if not name.startswith("_")} - {"end_items"})
        for name in fields:
            assert name in ctx.job

    table = WORKERS.partition("| `ctx.` |")[2].partition("\n\n")[0]
    fields = re.findall(r'\["(\w+)"\]', table)
    assert "attempt" in fields
    assert run(look, {}).status == "completed"
    first_cells = re.findall(r"(?m)^\| (`.*?`) \|", table)
    assert {name for cell in first_cells for name in re.findall(r"(?:`|await )([a-z_]+)(?=[`(])", cell)} == has
