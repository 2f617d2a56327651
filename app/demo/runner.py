"""The demo as the command line runs it: submit a job, run it and watch it."""

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
# Larger files are usually data instead of text, and one of them would hold up a batch for seconds.
SIZE_LIMIT_BYTES = 1024 * 1024
# Batches are short: a worker that is asked to stop finishes the current one within this time.
_GRACE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class DemoEvent:
    """An event of the demo with the job at that time, which includes stage, progress, counts and ETA.

    `submitted` comes once and first, `changed` while the job runs, `finished` once and last.
    """

    kind: Literal["submitted", "changed", "finished"]
    job: Job

    @property
    def job_id(self) -> str:
        """The id of the job."""
        return self.job["id"]


def default_path() -> Path:
    """Return a folder that exists on every machine: the installed packages of the running Python."""
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
    """Submit a job that indexes a folder, run it in this process, and return the job in its final state.

    The index is kept in `index_dir`. At most `max_files` files are indexed. Cancelling this coroutine cancels the job.
    Raises `NotADirectoryError` if the path is not a folder, and `JobtrackError` for errors of the service.
    """
    folder = await asyncio.to_thread(_folder, path)
    # pypdf reports broken files twice: in exceptions, which become item errors, and in its log.
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
            quiet=True,
        )
        working = asyncio.create_task(worker.run())
        watching = asyncio.create_task(_watch(client, job, on_event))
        try:
            # The worker ends first only with an error that no retry can mend, which is then the outcome.
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            ended = await watching if watching.done() else None
        except asyncio.CancelledError:
            # No other worker runs this job: without the cancellation it would wait forever.
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
    """Handle one job; this is a synchronous handler, which the worker runs in a thread."""
    payload = ctx.payload
    root = Path(payload["path"])
    if not root.is_dir():
        raise Fail("no_such_folder", f"{root} is not a folder on this machine", retryable=False)
    with Index.open(index_dir) as index, WorkFile.open(index_dir, ctx.job["id"]) as work:
        pipeline = Pipeline(
            ctx, work, index, size_limit_bytes=payload["size_limit_bytes"], max_files=payload["max_files"]
        )
        return pipeline.run(root)


async def _watch(client: AsyncJobtrackClient, job: Job, on_event: Callable[[DemoEvent], None]) -> Job:
    """Follow the job as any other client would, and return it when it has ended."""
    while not is_terminal(job):
        changed = await client.get_job(job["id"], wait=-1, if_none_match=job["version"])
        if changed is not None:
            job = changed
            if not is_terminal(job):
                on_event(DemoEvent("changed", job))
    return job


def _folder(path: Path) -> Path:
    try:
        folder = path.expanduser().resolve()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError):
        # A name that is too long, links in a circle, the home of nobody.
        pass
    raise NotADirectoryError(f"{path} is not a folder")
