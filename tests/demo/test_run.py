"""The demo against the running service, as the command line runs it."""

import asyncio
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from app.demo import DemoEvent, default_folders, run_demo, runner, work_on_reruns
from app.demo.scan import walk
from jobtrack_client import AsyncJobtrackClient, Item, Job, JobtrackClient, Unavailable

CODES = {
    "broken-files/notes.txt": "not_text",
    "broken-files/report.pdf": "broken_pdf",
    "broken-files/server.log.gz": "broken_gzip",
}


async def test_the_job_is_submitted_worked_and_read_back(service: Any, folder: Path, tmp_path: Path) -> None:
    events: list[DemoEvent] = []
    job = await run_demo(service.url, service.api_key, folder, tmp_path / "data", on_event=events.append)
    assert [events[0].kind, events[-1].kind] == ["submitted", "finished"]
    assert {event.job_id for event in events} == {job["id"]}
    assert (job["type"], job["queue"], job["collection"]) == ("index_folder", "demo", "corpus")
    assert job["status"] == "completed_with_failures"
    # `large.txt` is within the usual limit.
    assert job["counts"] == {"total": 9, "processed": 5, "failed": 2, "skipped": 2}
    assert job["result"]["files_indexed"] == 5
    assert job["billing"]["pages_processed"] == job["billing"]["credits"]["used"] > 0
    with JobtrackClient(service.url, service.api_key) as client:
        items = {item["key"]: item for item in client.iter_items(job["id"])}
    assert len(items) == 9
    assert items["docs/guide.md"]["stage"] == "embedding"
    assert items["broken.pdf"]["error_code"] == "broken_pdf"
    assert items["pipe.txt"]["skip_reason"] == "not_a_regular_file"
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"index.sqlite"}
    again = await run_demo(service.url, service.api_key, folder, tmp_path / "data", on_event=events.append)
    assert again["counts"] == job["counts"], "it indexes anew"


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


async def rerun_of_failed(service: Any, job: dict[str, Any], path: Path | None, data: Path) -> tuple[Job, list[Item]]:
    """What the demo's worker makes of a rerun, while it stays."""
    staying = asyncio.create_task(work_on_reruns(service.url, service.api_key, path, data))
    async with AsyncJobtrackClient(service.url, service.api_key) as client:
        rerun = await client.rerun(job["id"], only_failed_items=True)
        (ended,) = (await client.wait_jobs([rerun["id"]], wait=60))["jobs"]
        items = [item async for item in client.iter_items(rerun["id"])]
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    return ended, items


async def test_three_broken_files_are_among_the_default_and_can_be_run_again(
    service: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("broken.pdf", "binary.txt"):
        (folder / name).unlink()
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))
    monkeypatch.setattr(runner, "FEWEST_FILES", 1)
    job = await run_demo(service.url, service.api_key, None, tmp_path / "data", on_event=lambda _: None)
    assert job["status"] == "completed_with_failures"
    with JobtrackClient(service.url, service.api_key) as client:
        failed = {item["key"]: item["error_code"] for item in client.iter_items(job["id"], "failed")}
    assert failed == CODES
    (tmp_path / "data" / "broken" / "notes.txt").write_text("Mended by hand")
    monkeypatch.setattr(runner, "write_broken", lambda _: None)
    ended, items = await rerun_of_failed(service, job, None, tmp_path / "data")
    assert ended["status"] == "completed_with_failures"
    assert [(item["key"], item["status"]) for item in items] == [
        ("broken-files/notes.txt", "completed"),
        ("broken-files/report.pdf", "failed"),
        ("broken-files/server.log.gz", "failed"),
    ]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"index.sqlite", "broken"}


async def test_a_folder_that_the_demo_was_not_started_for_is_not_read(
    service: Any, folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "plan.txt").write_text("nobody may read this")
    staying = asyncio.create_task(work_on_reruns(service.url, service.api_key, folder, tmp_path / "data"))
    async with AsyncJobtrackClient(service.url, service.api_key) as client:
        payload = {"folders": {"": str(secret)}, "size_limit_bytes": 1000, "max_files": None}
        job = await client.create_job("index_folder", queue="demo", payload=payload)
        (ended,) = (await client.wait_jobs([job["id"]], wait=60))["jobs"]
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    assert ended["error"] is not None
    assert (ended["status"], ended["error"]["code"], ended["counts"]["total"]) == ("failed", "other_folder", 0)


def test_there_are_files_enough_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> int:
        folders = default_folders(tmp_path)
        return len({file.key for prefix, folder in folders.items() for file in walk(folder, 2**20, print, prefix)})

    assert count() >= 2000
    few = tmp_path / "few"
    few.mkdir()
    paths = {"purelib": str(few), "stdlib": sysconfig.get_path("stdlib")}
    monkeypatch.setattr(sysconfig, "get_path", paths.__getitem__)
    assert list(default_folders(tmp_path)) == ["", "broken-files", "python"]


@pytest.mark.long
async def test_the_demo_works_through_thousands_of_files_in_many_reports(service: Any, tmp_path: Path) -> None:
    job = await run_demo(service.url, service.api_key, None, tmp_path / "data", on_event=lambda _: None)
    assert (job["status"], job["counts"]["failed"]) == ("completed_with_failures", 3)
    assert job["counts"]["processed"] >= 2000
    # Every report that changes the job is a version of it.
    assert job["version"] >= 40
    ended, items = await rerun_of_failed(service, job, None, tmp_path / "data")
    assert {item["key"]: item["error_code"] for item in items} == CODES
    assert ended["counts"] == {"total": 3, "processed": 0, "failed": 3, "skipped": 0}
