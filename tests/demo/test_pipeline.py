"""The stages over a real folder, without a service: what is reported, what is stored, where a retry goes on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.demo import steps
from app.demo.index import Index
from app.demo.pipeline import Pipeline
from app.demo.scan import walk
from app.demo.steps import Steps
from app.demo.workfile import WorkFile
from jobtrack_client import Done, JobContext
from jobtrack_client.testing import Outcome, run

INDEXED = {"notes.txt", "docs/guide.md", "docs/page.html", "empty.py"}
SKIPPED = {"large.txt": "size_limit_exceeded", "pipe.txt": "not_a_regular_file", "link.txt": "not_a_regular_file"}
FAILED = {"broken.pdf": "broken_pdf", "binary.txt": "not_text"}
STEPS = {"extracting": "extract", "chunking": "chunk", "tagging": "tag", "embedding": "embed"}
Attempt = Callable[..., Outcome]


@pytest.fixture
def stages() -> list[str]:
    """The stages that were begun, in their order."""
    return []


@pytest.fixture
def attempt(folder: Path, tmp_path: Path, stages: list[str], monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """One attempt at a job over the folder."""

    def handler(ctx: JobContext) -> Done:
        settings = {"size_limit_bytes": 10_000, "max_files": None} | ctx.payload
        with Index.open(tmp_path / "data") as index, WorkFile.open(tmp_path / "data", "job") as work:
            return Pipeline(ctx, work, index, **settings).run({"": folder})

    for stage, name in STEPS.items():
        monkeypatch.setattr(Steps, name, _noted(getattr(Steps, name), stage, stages))

    def attempt(payload: Any = None, **options: Any) -> Outcome:
        return run(handler, payload or {}, **options)

    return attempt


def _noted(step: Any, stage: str, stages: list[str]) -> Any:
    def noted(self: Steps, row: Any) -> Any:
        stages.append(stage)
        return step(self, row)

    return noted


def test_every_file_ends_as_it_should(attempt: Attempt, folder: Path, tmp_path: Path) -> None:
    outcome = attempt()
    assert outcome.status == "completed_with_failures"
    assert set(outcome.keys("completed")) == INDEXED
    assert {key: outcome.items[key]["skip_reason"] for key in outcome.keys("skipped")} == SKIPPED
    assert {key: outcome.items[key]["error_code"] for key in outcome.keys("failed")} == FAILED
    assert "image.png" not in outcome.items
    assert outcome.total == len(outcome.items) == 9
    assert outcome.items["notes.txt"]["size_bytes"] == 7000
    assert outcome.items["notes.txt"]["uri"] == (folder / "notes.txt").as_uri()
    assert outcome.items["docs/guide.md"]["stage"] == "embedding"
    assert outcome.items["broken.pdf"]["stage"] == "extracting"
    assert isinstance(outcome.result.pop("duration_seconds"), int)
    assert outcome.result == {"files_indexed": 4, "files_failed": 2, "files_skipped": 3, "warnings": []}
    assert outcome.billing == {
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


def test_a_second_run_indexes_anew(attempt: Attempt, folder: Path, tmp_path: Path) -> None:
    first = attempt()
    WorkFile.remove(tmp_path / "data", "job")
    (folder / "notes.txt").write_text("Quite another text about gardens")
    (folder / "new.txt").write_text("Something new")
    second = attempt()
    assert set(second.keys("completed")) == {*first.keys("completed"), "new.txt"}
    assert set(second.keys("skipped")) == set(SKIPPED)
    with Index.open(tmp_path / "data") as index:
        assert "gardens" in index.tags(str(folder / "notes.txt"))
        assert len(index.vectors(str(folder / "notes.txt"))) == 1


def test_a_new_attempt_goes_on_where_the_last_one_stopped(
    attempt: Attempt, stages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(steps, "embed", _power_cut())
        first = attempt()
    assert (first.status, first.stage) == ("retrying", "embedding")
    assert stages.count("embedding") == 2
    stages.clear()
    second = attempt(retry_of=first)
    assert set(stages) == {"embedding"}
    assert len(stages) == len(INDEXED) - 1
    assert set(second.keys("completed")) == INDEXED
    assert set(second.keys("failed")) == set(FAILED)
    assert set(second.keys("skipped")) == set(SKIPPED)


def test_a_retry_without_the_results_of_the_last_attempt_fails(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(steps, "embed", _power_cut())
        first = attempt()
    WorkFile.remove(tmp_path / "data", "job")
    second = attempt(retry_of=first)
    assert second.error is not None
    assert (second.status, second.error["code"]) == ("failed", "no_work_file")


def test_a_rerun_is_about_the_failed_files_alone(attempt: Attempt, folder: Path, tmp_path: Path) -> None:
    first = attempt()
    WorkFile.remove(tmp_path / "data", "job")
    (folder / "binary.txt").write_text("Mended by hand")
    (folder / "new.txt").write_text("Something new")
    second = attempt(rerun_of=first)
    assert {key: item["status"] for key, item in second.items.items()} == {
        "binary.txt": "completed",
        "broken.pdf": "failed",
    }
    WorkFile.remove(tmp_path / "data", "job")
    (folder / "broken.pdf").unlink()
    third = attempt(rerun_of=second)
    assert [item["error_code"] for item in third.items.values()] == ["gone"]


def test_a_cancel_is_met_at_the_next_file(attempt: Attempt, stages: list[str]) -> None:
    outcome = attempt(cancel_at="chunking")
    assert (outcome.status, stages.count("chunking")) == ("cancelled", 0)


def test_the_number_of_files_can_be_limited(attempt: Attempt) -> None:
    outcome = attempt({"max_files": 2})
    assert outcome.result["files_indexed"] + outcome.result["files_failed"] == 2
    assert outcome.result["warnings"] == ["Only the first 2 files were taken, as asked"]


def test_a_folder_without_files_is_indexed_too(attempt: Attempt, folder: Path) -> None:
    for path in [*folder.rglob("*")]:
        if not path.is_dir():
            path.unlink()
    assert attempt().result["files_indexed"] == 0


def test_names_that_are_no_text_or_too_long_get_a_key(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad-\xff.txt")).write_text("a")
    deep = tmp_path.joinpath(*["d" * 100] * 4)
    deep.mkdir(parents=True)
    (deep / "one.txt").write_text("a")
    (deep / "two.txt").write_text("a")
    keys = [found.key for found in walk(tmp_path, 1000, lambda _: None, "p")]
    assert "p/bad-\\xff.txt" in keys
    assert len(set(keys)) == 3
    assert all(len(key.encode()) <= 255 for key in keys)


def test_leftovers_of_long_ago_are_removed(tmp_path: Path) -> None:
    for name, age in (("work-old.sqlite", 1), ("work-new.sqlite", None), ("index.sqlite", 1)):
        (tmp_path / name).write_text("")
        if age:
            os.utime(tmp_path / name, (age, age))
    WorkFile.remove(tmp_path, "ended")
    assert {path.name for path in tmp_path.iterdir()} == {"work-new.sqlite", "index.sqlite"}


def _power_cut() -> Any:
    calls: Iterator[int] = iter(range(100))

    def embed(_: str) -> bytes:
        if next(calls) >= 1:
            raise RuntimeError("power cut")
        return b""

    return embed
