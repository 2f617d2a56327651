"""The stages of an indexing job in their order, batch by batch, and what the service is told of them.

Plain code for a thread of its own: it keeps a processor busy, and the heartbeat must not wait for it.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from app.demo.billing import bill
from app.demo.index import Index
from app.demo.scan import Found, walk
from app.demo.steps import Step, Steps, index_name
from app.demo.workfile import WorkFile
from jobtrack_client import Done, ItemUpdate, JobContext

# A batch is what a cancel may have to wait for, and what a crash may have to repeat.
BATCH_FILES = 250
BATCH_BYTES = 2 * 1024 * 1024
_MAX_WARNINGS = 50

# Where the progress stands when a stage begins, from the times that the stages take: so it moves evenly, and the
# service's estimate of the end is a good one.
_BEGINS_AT = {"scanning": 0, "extracting": 5, "chunking": 21, "tagging": 48, "embedding": 54, "finalizing": 99}
_NEXT = dict(itertools.pairwise(_BEGINS_AT))


class Pipeline:
    """One job over one folder; `run` does what its earlier attempts have not."""

    def __init__(
        self, ctx: JobContext, work: WorkFile, index: Index, *, size_limit_bytes: int, max_files: int | None
    ) -> None:
        self._ctx = ctx
        self._work = work
        self._index = index
        self._size_limit_bytes = size_limit_bytes
        self._max_files = max_files

    def run(self, root: Path) -> Done:
        """Index the folder, and give the totals and the bill."""
        if self._work.state("stage") is None:
            self._scan(root)
        else:
            # What the last attempt did and could not say; saying it twice does no harm.
            self._ctx.items(self._work.told())
        for stage, step in Steps(self._work, self._index).by_stage().items():
            if stage == self._work.state("stage"):
                self._take_through(stage, step)
        return self._finalize()

    def _scan(self, root: Path) -> None:
        self._ctx.report(_BEGINS_AT["scanning"], stage="scanning", message=f"Looking for files in {root.name}")
        warnings: list[str] = []
        updates: list[ItemUpdate] = []
        queued = 0
        with self._work.batch():
            for number, found in enumerate(walk(root, self._size_limit_bytes, warnings.append)):
                update = self._first_word(found)
                queued += update["status"] == "queued"
                if self._max_files is not None and queued > self._max_files:
                    warnings.append(f"Only the first {self._max_files} files were taken, as asked")
                    break
                self._work.add(number, found, update)
                updates.append(update)
                if len(updates) >= BATCH_FILES:
                    self._ctx.check_cancelled()
                    self._ctx.items(updates)
                    updates = []
            self._work.remember(stage=_NEXT["scanning"], position=-1, warnings=warnings, began=time.time())
        self._ctx.items(updates)
        self._ctx.report(items_total=sum(self._work.counts().values()))

    def _first_word(self, found: Found) -> ItemUpdate:
        update: ItemUpdate = {
            "key": found.key,
            "name": found.key.rpartition("/")[2],
            "uri": found.path.as_uri(),
            "size_bytes": found.size,
            "status": "queued",
            "stage": "scanning",
        }
        reason = found.skip_reason
        if reason is None and self._index.is_unchanged(index_name(found.path), found.size, found.mtime_ns):
            reason = "already_indexed"
        if reason is not None:
            update |= {"status": "skipped", "skip_reason": reason}
        return update

    def _take_through(self, stage: str, step: Step) -> None:
        """Take all queued files through a stage; the work of a batch and the position after it are kept together."""
        begins_at, ends_at = _BEGINS_AT[stage], _BEGINS_AT[_NEXT[stage]]
        position = self._work.state("position")
        whole = self._work.load()
        self._ctx.report(begins_at, stage=stage, message=f"{stage.capitalize()} {self._queued()} files")
        while rows := self._work.queued(position, BATCH_FILES, BATCH_BYTES):
            self._ctx.check_cancelled()
            position = rows[-1]["n"]
            with self._work.batch():
                updates = step(rows)
                self._work.remember(position=position)
            self._ctx.items(updates)
            done = 1 - self._work.load(position) / whole
            self._ctx.report(round(begins_at + (ends_at - begins_at) * done, 1))
            self._ctx.save_checkpoint({"stage": stage, "position": position})
        with self._work.batch():
            self._work.remember(stage=_NEXT[stage], position=-1)

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
