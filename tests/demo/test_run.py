"""The demo against the running service, as the command line runs it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.demo import DemoEvent, default_path, run_demo
from jobtrack_client import JobtrackClient, Unavailable


async def test_the_job_is_submitted_worked_and_read_back(service: Any, folder: Path, tmp_path: Path) -> None:
    events: list[DemoEvent] = []
    job = await run_demo(service.url, service.api_key, folder, tmp_path / "data", on_event=events.append)
    assert [events[0].kind, events[-1].kind] == ["submitted", "finished"]
    assert {event.job_id for event in events} == {job["id"]}
    assert (job["type"], job["queue"], job["collection"]) == ("index_folder", "demo", "corpus")
    assert job["status"] == "completed_with_failures"
    # `large.txt` is within the usual limit.
    assert job["counts"] == {"total": 10, "processed": 5, "failed": 2, "skipped": 3}
    assert job["result"]["files_indexed"] == 5
    assert job["billing"]["pages_processed"] == job["billing"]["credits"]["used"] > 0
    with JobtrackClient(service.url, service.api_key) as client:
        items = {item["key"]: item for item in client.iter_items(job["id"])}
    assert len(items) == 10
    assert items["docs/guide.md"]["stage"] == "embedding"
    assert items["broken.pdf"]["error_code"] == "broken_pdf"
    assert items["image.png"]["skip_reason"] == "unsupported_type"
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"index.sqlite"}
    again = await run_demo(service.url, service.api_key, folder, tmp_path / "data", on_event=events.append)
    assert again["counts"] == {"total": 10, "processed": 0, "failed": 2, "skipped": 8}


async def test_stopping_the_command_cancels_the_job(service: Any, folder: Path, tmp_path: Path) -> None:
    submitted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_event(event: DemoEvent) -> None:
        if event.kind == "submitted":
            submitted.set_result(event.job_id)
            running.cancel()

    running = asyncio.create_task(run_demo(service.url, service.api_key, folder, tmp_path / "data", on_event=on_event))
    with pytest.raises(asyncio.CancelledError):
        await running
    with JobtrackClient(service.url, service.api_key) as client:
        assert client.wait_jobs([await submitted], wait=20)["jobs"][0]["status"] == "cancelled"


async def test_a_wrong_folder_or_address_is_said_before_anything_happens(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        await run_demo("http://127.0.0.1:1", "key", tmp_path / "none", tmp_path, on_event=print)
    with pytest.raises(Unavailable, match=r"Cannot reach Jobtrack at http://127\.0\.0\.1:1"):
        await run_demo("http://127.0.0.1:1", "key", tmp_path, tmp_path, on_event=print)


def test_there_is_a_folder_to_index_on_every_machine() -> None:
    assert any(default_path().rglob("*.py"))
