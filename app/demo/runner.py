"""The demo as the command line runs it: submit, work, watch."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from app.demo.index import Index
from app.demo.pipeline import Pipeline
from app.demo.workfile import WorkFile
from jobtrack_client import AsyncJobtrackClient, Done, Fail, Job, JobContext, JobtrackError, Worker, is_terminal

JOB_TYPE = "index_folder"
QUEUE = "demo"
# Larger files are data more often than text, and one of them would hold up a batch for seconds.
SIZE_LIMIT_BYTES = 1024 * 1024
# Seconds that one look at the job waits for a change.
_WATCH_SECONDS = 20
# Batches are short; a worker that is told to stop is out of the current one within this many seconds.
_GRACE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class DemoEvent:
    """What happened, and the job as the service gave it then: stage, progress, counts and ETA are in it.

    `submitted` comes once and first, `changed` while it runs, `finished` once and last.
    """

    kind: Literal["submitted", "changed", "finished"]
    job: Job

    @property
    def job_id(self) -> str:
        """The id of the job."""
        return self.job["id"]


def default_path() -> Path:
    """Give a folder that every machine has: the installed packages of the Python that runs this."""
    return Path(sysconfig.get_path("purelib"))


async def run_demo(
    url: str,
    api_key: str,
    path: Path,
    index_dir: Path,
    *,
    on_event: Callable[[DemoEvent], None],
    size_limit_bytes: int = SIZE_LIMIT_BYTES,
    max_files: int | None = None,
) -> dict[str, Any]:
    """Submit a job that indexes a folder, work it in this process, and give it as it ended.

    The index is kept in `index_dir`. `max_files` indexes no more than so many. Cancelling this cancels
    the job. Raises `NotADirectoryError` for a path that is no folder and `JobtrackError` for what the service says.
    """
    folder = await asyncio.to_thread(_folder, path)
    # Of broken files pypdf says everything twice: by exceptions, which become items, and by its logger.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    async with AsyncJobtrackClient(url, api_key) as client:
        job = await client.create_job(
            JOB_TYPE,
            queue=QUEUE,
            collection=folder.name or "root",
            payload={"path": str(folder), "size_limit_bytes": size_limit_bytes, "max_files": max_files},
        )
        on_event(DemoEvent("submitted", job))
        worker = Worker(
            client,
            types={JOB_TYPE: functools.partial(index_folder, index_dir=index_dir)},
            job_ids=[job["id"]],
            grace_seconds=_GRACE_SECONDS,
        )
        working = asyncio.create_task(worker.run())
        watching = asyncio.create_task(_watch(client, job, on_event))
        try:
            # The worker ends first only by what no patience mends, which is then the outcome.
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            ended = await watching if watching.done() else None
        except asyncio.CancelledError:
            # Nobody else works this job: left alone, it would wait for ever.
            with contextlib.suppress(JobtrackError):
                await client.cancel(job["id"])
            raise
        finally:
            watching.cancel()
            worker.stop()
            await working
            await asyncio.to_thread(WorkFile.remove, index_dir, job["id"])
        if ended is None:
            ended = await client.get_job(job["id"])
        on_event(DemoEvent("finished", ended))
        return dict(ended)


def index_folder(ctx: JobContext, *, index_dir: Path) -> Done:
    """Work one job; plain code, which the worker runs in a thread."""
    payload = ctx.payload
    root = Path(payload["path"])
    if not root.is_dir():
        raise Fail("no_such_folder", f"{root} is no folder here", retryable=False)
    with Index.open(index_dir) as index, WorkFile.open(index_dir, ctx.job["id"]) as work:
        pipeline = Pipeline(
            ctx, work, index, size_limit_bytes=payload["size_limit_bytes"], max_files=payload["max_files"]
        )
        return pipeline.run(root)


async def _watch(client: AsyncJobtrackClient, job: Job, on_event: Callable[[DemoEvent], None]) -> Job:
    """Follow the job as any other client would, and give it once it has ended."""
    while not is_terminal(job):
        changed = await client.get_job(job["id"], wait=_WATCH_SECONDS, if_none_match=job["version"])
        if changed is not None:
            job = changed
            if not is_terminal(job):
                on_event(DemoEvent("changed", job))
    return job


def _folder(path: Path) -> Path:
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        raise NotADirectoryError(f"{path} is not a folder")
    return folder
