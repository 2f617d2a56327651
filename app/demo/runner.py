"""The demo as the command line runs it: submit a job, run it and watch it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import logging
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from app.demo.broken import write_broken
from app.demo.index import Index
from app.demo.pipeline import Pipeline
from app.demo.scan import walk
from app.demo.workfile import WorkFile
from jobtrack_client import AsyncJobtrackClient, Done, Fail, Job, JobContext, JobtrackError, Worker, is_terminal

JOB_TYPE = "index_folder"
QUEUE = "demo"
# Larger files are usually data instead of text, and one of them would hold up a batch for seconds.
SIZE_LIMIT_BYTES = 1024 * 1024
# Of the default folders together; an installation without development tools has about so many in its packages.
FEWEST_FILES = 2000
BROKEN_PREFIX = "broken-files"
# A worker that is asked to stop finishes the current file within this time.
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


def default_folders(index_dir: Path) -> dict[str, Path]:
    """Return folders that exist on every machine, by the prefix of their files' keys: the installed packages of the
    running Python, its standard library where these are few, and three broken files in the demo's own directory.
    """
    broken = index_dir / "broken"
    write_broken(broken)
    packages = Path(sysconfig.get_path("purelib"))
    folders = {"": packages, BROKEN_PREFIX: broken}
    if sum(1 for _ in itertools.islice(walk(packages, SIZE_LIMIT_BYTES, lambda _: None), FEWEST_FILES)) < FEWEST_FILES:
        folders["python"] = Path(sysconfig.get_path("stdlib"))
    return folders


async def run_demo(
    url: str,
    api_key: str,
    path: Path | None,
    index_dir: Path,
    *,
    on_event: Callable[[DemoEvent], None],
    size_limit_bytes: int = SIZE_LIMIT_BYTES,
    max_files: int | None = None,
) -> dict[str, Any]:
    """Submit a job that indexes a folder, by default `default_folders`, run it in this process, and return the job in
    its final state.

    The index is kept in `index_dir`. At most `max_files` files are indexed. Cancelling this coroutine cancels the job.
    Raises `NotADirectoryError` if the path is not a folder, and `JobtrackError` for errors of the service.
    """
    folders = await asyncio.to_thread(_folders, path, index_dir)
    folder = folders[""]
    # pypdf reports broken files twice: in exceptions, which become item errors, and in its log.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    async with AsyncJobtrackClient(url, api_key) as client:
        job = await client.create_job(
            JOB_TYPE,
            queue=QUEUE,
            collection=folder.name or "root",
            payload={
                "folders": {prefix: str(folder) for prefix, folder in folders.items()},
                "size_limit_bytes": size_limit_bytes,
                "max_files": max_files,
            },
        )
        on_event(DemoEvent("submitted", job))
        worker = _worker(client, folders, index_dir, job_ids=[job["id"]])
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


async def work_on_reruns(url: str, api_key: str, path: Path | None, index_dir: Path) -> None:
    """Work on reruns of the demo's jobs over the same folders until this is cancelled."""
    folders = await asyncio.to_thread(_folders, path, index_dir)
    async with AsyncJobtrackClient(url, api_key) as client:
        await _worker(client, folders, index_dir, queues=[QUEUE]).run()


def index_folder(ctx: JobContext, *, index_dir: Path, folders: Mapping[str, Path]) -> Done:
    """Handle one job; this is a synchronous handler, which the worker runs in a thread."""
    payload = ctx.payload
    # Who may submit jobs may not read with them whatever this program may read.
    if payload["folders"] != {prefix: str(folder) for prefix, folder in folders.items()}:
        raise Fail("other_folder", "This worker indexes the folders that it was started for", retryable=False)
    for folder in folders.values():
        if not folder.is_dir():
            raise Fail("no_such_folder", f"{folder} is not a folder on this machine", retryable=False)
    with Index.open(index_dir) as index, WorkFile.open(index_dir, ctx.job["id"]) as work:
        pipeline = Pipeline(
            ctx, work, index, size_limit_bytes=payload["size_limit_bytes"], max_files=payload["max_files"]
        )
        done = pipeline.run(folders)
    WorkFile.remove(index_dir, ctx.job["id"])
    return done


def _worker(
    client: AsyncJobtrackClient,
    folders: Mapping[str, Path],
    index_dir: Path,
    job_ids: Sequence[str] = (),
    queues: Sequence[str] = (),
) -> Worker:
    handler = functools.partial(index_folder, index_dir=index_dir, folders=folders)
    return Worker(
        client,
        types={JOB_TYPE: handler},
        job_ids=job_ids,
        queues=queues,
        grace_seconds=_GRACE_SECONDS,
        quiet=True,
    )


def _folders(path: Path | None, index_dir: Path) -> dict[str, Path]:
    return default_folders(index_dir) if path is None else {"": _folder(path)}


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
