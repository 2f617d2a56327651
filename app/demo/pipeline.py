"""Run the stages of an indexing job in order, file by file, and report on them to the service.

The code is synchronous and runs in a thread of its own: it keeps a processor busy, and heartbeats must not wait for it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.demo.billing import bill
from app.demo.extract import BrokenFile
from app.demo.index import Index
from app.demo.scan import ScannedFile, walk
from app.demo.steps import Step, Steps
from app.demo.workfile import WorkFile
from jobtrack_client import Done, Fail, ItemUpdate, JobContext

# After so many files a stage waits for its report, so that a fast machine shows its progress in as many steps.
FLUSHED_FILES = 100
_MAX_WARNINGS = 50

# The progress at which each stage begins, in proportion to the time that the stages take, so that progress is even and
# the service's estimate of the end is accurate.
_BEGINS_AT = {"scanning": 0, "extracting": 3, "chunking": 14, "tagging": 31, "embedding": 38, "finalizing": 99}
_NEXT = dict(itertools.pairwise(_BEGINS_AT))


class Pipeline:
    """One job over some folders; `run` continues where earlier attempts stopped."""

    def __init__(
        self, ctx: JobContext, work: WorkFile, index: Index, *, size_limit_bytes: int, max_files: int | None
    ) -> None:
        self._ctx = ctx
        self._work = work
        self._index = index
        self._size_limit_bytes = size_limit_bytes
        self._max_files = max_files

    def run(self, folders: Mapping[str, Path]) -> Done:
        """Index the folders, each under a prefix of its files' keys; return the totals and the bill."""
        if not self._work.state("scanned"):
            if self._ctx.checkpoint:
                raise Fail("no_work_file", "The results of the last attempt are on another machine", retryable=False)
            self._scan(folders)
        if not self._ctx.checkpoint:
            self._report_items()
        for stage, step in Steps(self._work, self._index).by_stage().items():
            self._run_stage(stage, step)
        return self._finalize()

    def _scan(self, folders: Mapping[str, Path]) -> None:
        self._ctx.report(_BEGINS_AT["scanning"], stage="scanning", message="Looking for files")
        warnings: list[str] = []
        found = {file.key: file for file in self._found(folders, warnings)}
        gone: list[str] = []
        queued = 0
        with self._work.batch():
            # Of a rerun, the items that it is about and no others.
            for number, key in enumerate(self._ctx.todo(default=found)):
                if number % FLUSHED_FILES == 0:
                    self._ctx.check_cancelled()
                file = found.get(key)
                if file is None:
                    gone.append(key)
                    continue
                update = _first_update(file)
                queued += update["status"] == "queued"
                if self._max_files is not None and queued > self._max_files:
                    warnings.append(f"Only the first {self._max_files} files were taken, as asked")
                    break
                self._work.add(number, file, update)
            self._work.set_state(scanned=True, gone=gone, warnings=warnings, began=time.time())

    def _report_items(self) -> None:
        """Report what was found, as often as the job has no checkpoint that says that it has been reported."""
        updates = list(self._work.item_updates())
        why = "The file is not there any more"
        self._ctx.items(updates)
        self._ctx.items(
            {"key": key, "status": "failed", "error_code": "gone", "error_message": why}
            for key in self._work.state("gone")
        )
        self._ctx.report(items_total=len(updates))
        self._ctx.save_checkpoint({"scanned": True})
        self._ctx.flush_from_thread()

    def _found(self, folders: Mapping[str, Path], warnings: list[str]) -> Iterator[ScannedFile]:
        for prefix, folder in folders.items():
            yield from walk(folder, self._size_limit_bytes, warnings.append, prefix)

    def _run_stage(self, stage: str, step: Step) -> None:
        """Run a stage on all files that are not broken. In each attempt a stage has the same files to pass over."""
        begins_at, ends_at = _BEGINS_AT[stage], _BEGINS_AT[_NEXT[stage]]
        is_first, is_last = stage == "extracting", stage == "embedding"
        listed = self._work.listed("queued", "completed", *(("failed",) if is_first else ()))
        self._ctx.report(begins_at, stage=stage, message=f"{stage.capitalize()} {len(listed)} files")
        files = self._ctx.track(range(len(listed)), key=lambda place: listed[place][1], last=is_last)
        for place in files:
            number, _ = listed[place]
            files.item(stage=stage)
            # A broken file fails, and the job goes on. Anything else is a defect, and ends the attempt.
            with files.guard(BrokenFile, OSError):
                try:
                    files.item(**step(self._work.file(number)))
                except (BrokenFile, OSError):
                    with self._work.batch():
                        self._work.finish(number, "failed")
                    raise
            self._ctx.report(round(begins_at + (ends_at - begins_at) * (place + 1) / len(listed), 1))
            if (place + 1) % FLUSHED_FILES == 0:
                self._ctx.flush_from_thread()

    def _finalize(self) -> Done:
        self._ctx.report(_BEGINS_AT["finalizing"], stage="finalizing", message="Adding up")
        counts = self._work.counts()
        pages = self._work.pages()
        result = {
            "files_indexed": counts.get("completed", 0),
            "files_failed": counts.get("failed", 0),
            "files_skipped": counts.get("skipped", 0),
            "duration_seconds": max(0, round(time.time() - self._work.state("began"))),
            "warnings": self._work.state("warnings")[:_MAX_WARNINGS],
        }
        self._ctx.report(message=f"{result['files_indexed']} files indexed")
        return Done(result, billing=bill(pages, self._index.charge(self._ctx.job["id"], pages)))


def _first_update(file: ScannedFile) -> ItemUpdate:
    update: ItemUpdate = {
        "key": file.key,
        "name": file.key.rpartition("/")[2],
        "uri": file.path.as_uri(),
        "size_bytes": file.size,
        "status": "queued",
        "stage": "scanning",
    }
    if file.skip_reason is not None:
        update |= {"status": "skipped", "skip_reason": file.skip_reason}
    return update
