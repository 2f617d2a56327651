"""The stages over a real folder, without a service: what is told, what is stored, what a next run finds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.demo import pipeline, steps
from app.demo.index import Index
from app.demo.pipeline import Pipeline
from app.demo.scan import walk
from app.demo.steps import Steps
from app.demo.workfile import WorkFile
from jobtrack_client import Done, JobCancelled, JobContext
from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.context import Stop

INDEXED = {"notes.txt", "docs/guide.md", "docs/page.html", "empty.py"}
SKIPPED = {
    "image.png": "unsupported_type",
    "large.txt": "size_limit_exceeded",
    "pipe.txt": "not_a_regular_file",
    "link.txt": "not_a_regular_file",
}
FAILED = {"broken.pdf": "broken_pdf", "binary.txt": "not_text"}


class Attempt:
    """One attempt at a job; keeps every item update and stage that the service would be told."""

    def __init__(self, folder: Path, data: Path, job_id: str = "job") -> None:
        self.folder, self.data, self.job_id = folder, data, job_id
        self.stop = Stop()
        self.items: dict[str, dict[str, Any]] = {}
        self.stages: list[str] = []
        self.progress: list[float] = []
        self.updates = 0
        self._buffer = ReportBuffer(lambda _: None)

    async def run(self, **options: Any) -> Done:
        async def flush(*_: object) -> Any:
            raise AssertionError

        job: Any = {"id": self.job_id, "lease": {"token": "t"}, "payload": {}}
        ctx = JobContext(job, self._buffer, self.stop, flush, flush)
        self._listen(ctx, "items", lambda updates: self._told({"items": list(updates)}))
        self._listen(ctx, "report", lambda progress=None, **fields: self._told({"progress": progress, **fields}))
        settings = {"size_limit_bytes": 10_000, "max_files": None} | options
        with Index.open(self.data) as index, WorkFile.open(self.data, self.job_id) as work:
            return Pipeline(ctx, work, index, **settings).run(self.folder)

    def of_status(self, status: str) -> set[str]:
        return {key for key, item in self.items.items() if item["status"] == status}

    def _listen(self, ctx: JobContext, name: str, listener: Callable[..., None]) -> None:
        setattr(ctx, name, listener)

    def _told(self, report: dict[str, Any]) -> None:
        for item in report.get("items", []):
            self.items.setdefault(item["key"], {}).update(item)
            self.updates += 1
        if report.get("stage"):
            self.stages.append(report["stage"])
        if report.get("progress") is not None:
            self.progress.append(report["progress"])


async def test_every_file_ends_as_it_should(folder: Path, tmp_path: Path) -> None:
    attempt = Attempt(folder, tmp_path / "data")
    done = await attempt.run()
    assert attempt.of_status("completed") == INDEXED
    assert {key: attempt.items[key]["skip_reason"] for key in attempt.of_status("skipped")} == SKIPPED
    assert {key: attempt.items[key]["error_code"] for key in attempt.of_status("failed")} == FAILED
    assert attempt.stages == ["scanning", "extracting", "chunking", "tagging", "embedding", "finalizing"]
    assert attempt.progress == sorted(attempt.progress)
    assert attempt.items["notes.txt"]["size_bytes"] == 7000
    assert attempt.items["notes.txt"]["uri"] == (folder / "notes.txt").as_uri()
    assert isinstance(done.result, dict)
    assert isinstance(done.result.pop("duration_seconds"), int)
    assert done.result == {"files_indexed": 4, "files_failed": 2, "files_skipped": 4, "warnings": []}
    assert done.billing == {
        "cost": {"amount": 0.0025, "currency": "USD"},
        "credits": {"used": 5, "remaining": 999_995},
        "rate": {"per_credit": 0.0005, "currency": "USD"},
        "processing_type": "basic",
        "pages_processed": 5,
    }
    with Index.open(tmp_path / "data") as index:
        assert "lease" in index.tags(str(folder / "notes.txt"))
        assert len(index.vectors(str(folder / "notes.txt"))) == 4
        assert index.vectors(str(folder / "empty.py")) == []


async def test_a_second_run_skips_what_it_has_seen(folder: Path, tmp_path: Path) -> None:
    await Attempt(folder, tmp_path / "data", "one").run()
    (folder / "notes.txt").write_text("Quite another text about gardens")
    os.utime(folder / "docs" / "guide.md", (1, 1))
    (folder / "new.txt").write_text("Something new")
    attempt = Attempt(folder, tmp_path / "data", "two")
    await attempt.run()
    assert attempt.of_status("completed") == {"notes.txt", "new.txt"}
    seen = {key for key, item in attempt.items.items() if item.get("skip_reason") == "already_indexed"}
    assert seen == {"docs/guide.md", "docs/page.html", "empty.py"}
    assert attempt.of_status("failed") == set(FAILED)
    with Index.open(tmp_path / "data") as index:
        assert "gardens" in index.tags(str(folder / "notes.txt"))
        assert len(index.vectors(str(folder / "notes.txt"))) == 1


async def test_a_new_attempt_goes_on_where_the_last_one_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_FILES", 1)
    first = Attempt(folder, tmp_path / "data")
    with monkeypatch.context() as patch:
        patch.setattr(steps, "embed", _power_cut)
        with pytest.raises(RuntimeError, match="power cut"):
            await first.run()
    assert first.stages[-1] == "embedding"
    second = Attempt(folder, tmp_path / "data")
    monkeypatch.setattr(steps, "extract", _power_cut)
    await second.run()
    assert second.stages == ["embedding", "finalizing"]
    assert second.of_status("completed") == INDEXED
    assert second.of_status("failed") == set(FAILED)
    assert second.of_status("skipped") == set(SKIPPED)


async def test_a_cancel_is_met_at_the_next_batch(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_FILES", 1)
    attempt = Attempt(folder, tmp_path / "data")
    batches: list[int] = []
    chunk = Steps.chunk

    def chunk_and_cancel(self: Steps, rows: Any) -> Any:
        batches.append(len(rows))
        attempt.stop.request("cancel", "A cancel was asked for")
        return chunk(self, rows)

    monkeypatch.setattr(Steps, "chunk", chunk_and_cancel)
    with pytest.raises(JobCancelled):
        await attempt.run()
    assert batches == [1]


async def test_the_number_of_files_can_be_limited(folder: Path, tmp_path: Path) -> None:
    attempt = Attempt(folder, tmp_path / "data")
    done = await attempt.run(max_files=2)
    assert isinstance(done.result, dict)
    assert done.result["files_indexed"] + done.result["files_failed"] == 2
    assert done.result["warnings"] == ["Only the first 2 files were taken, as asked"]


async def test_a_folder_without_files_is_indexed_too(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = await Attempt(tmp_path / "nothing", tmp_path / "data").run()
    assert isinstance(done.result, dict)
    assert done.result["files_indexed"] == 0


def test_names_that_are_no_text_or_too_long_get_a_key(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad-\xff.txt")).write_text("a")
    deep = tmp_path.joinpath(*["d" * 100] * 4)
    deep.mkdir(parents=True)
    (deep / "one.txt").write_text("a")
    (deep / "two.txt").write_text("a")
    keys = [found.key for found in walk(tmp_path, 1000, lambda _: None)]
    assert "bad-\\xff.txt" in keys
    assert len(set(keys)) == 3
    assert all(len(key.encode()) <= 255 for key in keys)


def test_leftovers_of_long_ago_are_removed(tmp_path: Path) -> None:
    for name, age in (("work-old.sqlite", 1), ("work-new.sqlite", None), ("index.sqlite", 1)):
        (tmp_path / name).write_text("")
        if age:
            os.utime(tmp_path / name, (age, age))
    WorkFile.remove(tmp_path, "ended")
    assert {path.name for path in tmp_path.iterdir()} == {"work-new.sqlite", "index.sqlite"}


def _power_cut(*_: object) -> Any:
    raise RuntimeError("power cut")
