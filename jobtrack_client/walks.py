"""What takes more than one call: walking through pages, following a log, following a stream. Methods of the clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx

from jobtrack_client import calls, job_calls
from jobtrack_client.call import job_path
from jobtrack_client.errors import from_response
from jobtrack_client.event_stream import EventParser, ServerEvent
from jobtrack_client.models import Item, Job, StoredLogLine

if TYPE_CHECKING:
    from jobtrack_client.client import AsyncJobtrackClient, JobtrackClient

# Seconds that one request waits for a line: short enough for proxies.
LOG_WAIT_SECONDS = 20
# A stream sends a comment every 15 s, so a silence of three of those means that nobody is there.
STREAM_SILENCE_SECONDS = 45.0


def iter_items(self: JobtrackClient, job_id: str, status: str | None = None) -> Iterator[Item]:
    """Walk through all items of a job, page by page; also while it runs, without gap or repeat."""
    cursor: str | None = ""
    while cursor is not None:
        page = self.send(calls.list_items(job_id, status=status, cursor=cursor))
        yield from page["items"]
        cursor = page["next_cursor"]


async def iter_items_async(self: AsyncJobtrackClient, job_id: str, status: str | None = None) -> AsyncIterator[Item]:
    """Walk through all items of a job, page by page; also while it runs, without gap or repeat."""
    cursor: str | None = ""
    while cursor is not None:
        page = await self.send(calls.list_items(job_id, status=status, cursor=cursor))
        for item in page["items"]:
            yield item
        cursor = page["next_cursor"]


def iter_jobs(self: JobtrackClient, **conditions: object) -> Iterator[Job]:
    """Walk through all jobs that a filter matches, newest first; conditions as for `list_jobs`."""
    cursor: str | None = ""
    while cursor is not None:
        page = self.send(job_calls.list_jobs(limit=500, cursor=cursor, **conditions))  # type: ignore[arg-type]
        yield from page["jobs"]
        cursor = page["next_cursor"]


async def iter_jobs_async(self: AsyncJobtrackClient, **conditions: object) -> AsyncIterator[Job]:
    """Walk through all jobs that a filter matches, newest first; conditions as for `list_jobs`."""
    cursor: str | None = ""
    while cursor is not None:
        page = await self.send(job_calls.list_jobs(limit=500, cursor=cursor, **conditions))  # type: ignore[arg-type]
        for job in page["jobs"]:
            yield job
        cursor = page["next_cursor"]


def follow_logs(self: JobtrackClient, job_id: str, offset: int = 0) -> Iterator[StoredLogLine]:
    """Give a job's log lines as they come; ends with the job."""
    ended = False
    while not ended:
        page = self.send(job_calls.read_logs(job_id, offset=offset, wait=LOG_WAIT_SECONDS))
        yield from page["logs"]
        offset, ended = page["next_offset"], page["ended"]


async def follow_logs_async(self: AsyncJobtrackClient, job_id: str, offset: int = 0) -> AsyncIterator[StoredLogLine]:
    """Give a job's log lines as they come; ends with the job."""
    ended = False
    while not ended:
        page = await self.send(job_calls.read_logs(job_id, offset=offset, wait=LOG_WAIT_SECONDS))
        for line in page["logs"]:
            yield line
        offset, ended = page["next_offset"], page["ended"]


class _Stream:
    """Where a stream is: what to ask for, and what was read of it."""

    def __init__(self, path: str, params: Mapping[str, Any]) -> None:
        self.path = path
        self.params = {name: value for name, value in params.items() if value}
        self.parser = EventParser()
        self.ends = path.endswith("/stream")

    def request(self, timeout: float) -> dict[str, Any]:
        """Give the arguments for httpx; from the second time on the stream goes on where it was."""
        headers = {"Accept": "text/event-stream"}
        if self.parser.last_id:
            headers["Last-Event-ID"] = self.parser.last_id
        silence = httpx.Timeout(timeout, read=STREAM_SILENCE_SECONDS)
        return {"method": "GET", "url": self.path, "params": self.params, "headers": headers, "timeout": silence}


def stream(self: JobtrackClient, path: str, **params: Any) -> Iterator[ServerEvent]:
    """Give the events of a stream, coming back where it was whenever it breaks off; a job's stream ends with it."""
    state = _Stream(path, params)
    while True:
        try:
            with self._http.stream(**state.request(self._timeout)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise from_response(answer, self.url)
                for piece in answer.iter_bytes():
                    yield from state.parser.feed(piece)
                if state.ends:
                    return
        except httpx.TransportError:
            pass
        time.sleep(state.parser.retry_seconds)


async def stream_async(self: AsyncJobtrackClient, path: str, **params: Any) -> AsyncIterator[ServerEvent]:
    """Give the events of a stream, coming back where it was whenever it breaks off; a job's stream ends with it."""
    state = _Stream(path, params)
    while True:
        try:
            async with self._http.stream(**state.request(self._timeout)) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise from_response(answer, self.url)
                async for piece in answer.aiter_bytes():
                    for event in state.parser.feed(piece):
                        yield event
                if state.ends:
                    return
        except httpx.TransportError:
            pass
        await asyncio.sleep(state.parser.retry_seconds)


def stream_events(
    self: JobtrackClient, *, types: list[str] | None = None, queues: list[str] | None = None, cursor: str | None = None
) -> Iterator[ServerEvent]:
    """Follow all that happens in the project: a `snapshot`, then `job.*` events without gap or repeat."""
    return stream(self, "/v1/events", type=types, queue=queues, cursor=cursor)


def stream_events_async(
    self: AsyncJobtrackClient,
    *,
    types: list[str] | None = None,
    queues: list[str] | None = None,
    cursor: str | None = None,
) -> AsyncIterator[ServerEvent]:
    """Follow all that happens in the project: a `snapshot`, then `job.*` events without gap or repeat."""
    return stream_async(self, "/v1/events", type=types, queue=queues, cursor=cursor)


def stream_job(self: JobtrackClient, job_id: str) -> Iterator[ServerEvent]:
    """Follow one job: `snapshot`, its `job.*` events, and `job` whenever it has changed; ends with it."""
    return stream(self, job_path(job_id, "/stream"))


def stream_job_async(self: AsyncJobtrackClient, job_id: str) -> AsyncIterator[ServerEvent]:
    """Follow one job: `snapshot`, its `job.*` events, and `job` whenever it has changed; ends with it."""
    return stream_async(self, job_path(job_id, "/stream"))
