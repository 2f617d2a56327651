"""Run the stages of an indexing job in order, batch by batch, and report on them to the service.

The code is synchronous and runs in a thread of its own: it keeps a processor busy, and heartbeats must not wait for it.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from app.demo.billing import bill
from app.demo.index import Index
from app.demo.scan import ScannedFile, walk
from app.demo.steps import Step, Steps, index_name
from app.demo.workfile import WorkFile
from jobtrack_client import Done, ItemUpdate, JobContext

# A cancellation may have to wait for one batch, and one batch may have to be repeated after a crash.
BATCH_FILES = 250
BATCH_BYTES = 2 * 1024 * 1024
_MAX_WARNINGS = 50

# The progress at which each stage begins, in proportion to the time that the stages take, so that progress is even and
# the service's estimate of the end is accurate.
_BEGINS_AT = {"scanning": 0, "extracting": 5, "chunking": 21, "tagging": 48, "embedding": 54, "finalizing": 99}
_NEXT = dict(itertools.pairwise(_BEGINS_AT))


class Pipeline:
    """One job over one folder; `run` continues where earlier attempts stopped."""

    def __init__(
        self, ctx: JobContext, work: WorkFile, index: Index, *, size_limit_bytes: int, max_files: int | None
    ) -> None:
        self._ctx = ctx
        self._work = work
        self._index = index
        self._size_limit_bytes = size_limit_bytes
        self._max_files = max_files

    def run(self, root: Path) -> Done:
        """Index the folder; return the totals and the bill."""
        if self._work.state("stage") is None:
            self._scan(root)
        else:
            # The last attempt may not have sent all of its updates; sending them twice does no harm.
            self._ctx.items(self._work.item_updates())
        for stage, step in Steps(self._work, self._index).by_stage().items():
            if stage == self._work.state("stage"):
                self._run_stage(stage, step)
        return self._finalize()

    def _scan(self, root: Path) -> None:
        self._ctx.report(_BEGINS_AT["scanning"], stage="scanning", message=f"Looking for files in {root.name}")
        warnings: list[str] = []
        updates: list[ItemUpdate] = []
        queued = 0
        with self._work.batch():
            for number, file in enumerate(walk(root, self._size_limit_bytes, warnings.append)):
                update = self._initial_update(file)
                queued += update["status"] == "queued"
                if self._max_files is not None and queued > self._max_files:
                    warnings.append(f"Only the first {self._max_files} files were taken, as asked")
                    break
                self._work.add(number, file, update)
                updates.append(update)
                if len(updates) >= BATCH_FILES:
                    self._ctx.check_cancelled()
                    self._ctx.items(updates)
                    updates = []
            self._work.set_state(stage=_NEXT["scanning"], position=-1, warnings=warnings, began=time.time())
        self._ctx.items(updates)
        self._ctx.report(items_total=sum(self._work.counts().values()))

    def _initial_update(self, file: ScannedFile) -> ItemUpdate:
        update: ItemUpdate = {
            "key": file.key,
            "name": file.key.rpartition("/")[2],
            "uri": file.path.as_uri(),
            "size_bytes": file.size,
            "status": "queued",
            "stage": "scanning",
        }
        reason = file.skip_reason
        if reason is None and self._index.is_unchanged(index_name(file.path), file.size, file.mtime_ns):
            reason = "already_indexed"
        if reason is not None:
            update |= {"status": "skipped", "skip_reason": reason}
        return update

    def _run_stage(self, stage: str, step: Step) -> None:
        """Run a stage on all queued files; the results of a batch and the position after it are stored together."""
        begins_at, ends_at = _BEGINS_AT[stage], _BEGINS_AT[_NEXT[stage]]
        position = self._work.state("position")
        total = self._work.remaining_load()
        self._ctx.report(begins_at, stage=stage, message=f"{stage.capitalize()} {self._queued()} files")
        while rows := self._work.queued(position, BATCH_FILES, BATCH_BYTES):
            self._ctx.check_cancelled()
            position = rows[-1]["n"]
            with self._work.batch():
                updates = step(rows)
                self._work.set_state(position=position)
            self._ctx.items(updates)
            done = 1 - self._work.remaining_load(position) / total
            self._ctx.report(round(begins_at + (ends_at - begins_at) * done, 1))
            self._ctx.save_checkpoint({"stage": stage, "position": position})
        with self._work.batch():
            self._work.set_state(stage=_NEXT[stage], position=-1)

    def _queued(self) -> int:
        return self._work.counts().get("queued", 0)

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
