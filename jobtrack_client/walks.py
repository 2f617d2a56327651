"""Methods of the clients that take more than one call: iterate over pages, follow a log, follow a stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import httpx

from jobtrack_client import calls, job_calls
from jobtrack_client.call import job_path
from jobtrack_client.errors import from_response
from jobtrack_client.event_stream import EventParser, ServerEvent
from jobtrack_client.job_models import StoredLogLine
from jobtrack_client.models import Item, Job
from jobtrack_client.retry import unsendable
from jobtrack_client.sender import AsyncSender, Sender

# How long one request waits for a line: short enough for proxies.
LOG_WAIT_SECONDS = 20
# A stream sends a comment every 15 s; after three missed ones the connection is dead.
STREAM_SILENCE_SECONDS = 45.0


def iter_items(self: Sender, job_id: str, status: str | Sequence[str] | None = None) -> Iterator[Item]:
    """Iterate over all items of a job, page by page; while it runs, too, no item is missed or repeated."""
    cursor: str | None = ""
    while cursor is not None:
        page = self.send(calls.list_items(job_id, status=status, cursor=cursor))
        yield from page["items"]
        cursor = page["next_cursor"]


async def iter_items_async(
    self: AsyncSender, job_id: str, status: str | Sequence[str] | None = None
) -> AsyncIterator[Item]:
    """Iterate over all items of a job, page by page; while it runs, too, no item is missed or repeated."""
    cursor: str | None = ""
    while cursor is not None:
        page = await self.send(calls.list_items(job_id, status=status, cursor=cursor))
        for item in page["items"]:
            yield item
        cursor = page["next_cursor"]


def iter_jobs(self: Sender, **conditions: object) -> Iterator[Job]:
    """Iterate over all jobs that match the conditions of `list_jobs`, newest first."""
    cursor: str | None = ""
    while cursor is not None:
        page = self.send(job_calls.list_jobs(limit=500, cursor=cursor, **conditions))  # type: ignore[arg-type]
        yield from page["jobs"]
        cursor = page["next_cursor"]


async def iter_jobs_async(self: AsyncSender, **conditions: object) -> AsyncIterator[Job]:
    """Iterate over all jobs that match the conditions of `list_jobs`, newest first."""
    cursor: str | None = ""
    while cursor is not None:
        page = await self.send(job_calls.list_jobs(limit=500, cursor=cursor, **conditions))  # type: ignore[arg-type]
        for job in page["jobs"]:
            yield job
        cursor = page["next_cursor"]


def follow_logs(self: Sender, job_id: str, offset: int = 0) -> Iterator[StoredLogLine]:
    """Yield a job's log lines as they arrive, until the job has ended."""
    ended = False
    while not ended:
        page = self.send(job_calls.read_logs(job_id, offset=offset, wait=LOG_WAIT_SECONDS))
        yield from page["logs"]
        offset, ended = page["next_offset"], page["ended"]


async def follow_logs_async(self: AsyncSender, job_id: str, offset: int = 0) -> AsyncIterator[StoredLogLine]:
    """Yield a job's log lines as they arrive, until the job has ended."""
    ended = False
    while not ended:
        page = await self.send(job_calls.read_logs(job_id, offset=offset, wait=LOG_WAIT_SECONDS))
        for line in page["logs"]:
            yield line
        offset, ended = page["next_offset"], page["ended"]


class _Stream:
    """The position in a stream: what to request next, and what has been read."""

    def __init__(self, path: str, params: Mapping[str, Any]) -> None:
        self.path = path
        self.params = {name: value for name, value in params.items() if value}
        self.parser = EventParser()
        self.ends = path.endswith("/stream")

    def request(self, timeout: float) -> dict[str, Any]:
        """Return the arguments for httpx; after the first event, the stream resumes where it was interrupted."""
        headers = {"Accept": "text/event-stream"}
        if self.parser.last_id:
            headers["Last-Event-ID"] = self.parser.last_id
        timeouts = httpx.Timeout(timeout, read=STREAM_SILENCE_SECONDS)
        return {"method": "GET", "url": self.path, "params": self.params, "headers": headers, "timeout": timeouts}


def stream(self: Sender, path: str, **params: Any) -> Iterator[ServerEvent]:
    """Yield the events of a stream and resume it whenever it breaks off; the stream of a job ends with the job."""
    state = _Stream(path, params)
    while True:
        try:
            with self._http.stream(**state.request(self._timeout)) as response:
                if not response.is_success:
                    response.read()
                    raise from_response(response, self.url)
                for chunk in response.iter_bytes():
                    yield from state.parser.feed(chunk)
                if state.ends:
                    return
        except httpx.InvalidURL as error:
            raise unsendable(error) from error
        except httpx.TransportError:
            pass
        time.sleep(state.parser.retry_seconds)


async def stream_async(self: AsyncSender, path: str, **params: Any) -> AsyncIterator[ServerEvent]:
    """Yield the events of a stream and resume it whenever it breaks off; the stream of a job ends with the job."""
    state = _Stream(path, params)
    while True:
        try:
            async with self._http.stream(**state.request(self._timeout)) as response:
                if not response.is_success:
                    await response.aread()
                    raise from_response(response, self.url)
                async for chunk in response.aiter_bytes():
                    for event in state.parser.feed(chunk):
                        yield event
                if state.ends:
                    return
        except httpx.InvalidURL as error:
            raise unsendable(error) from error
        except httpx.TransportError:
            pass
        await asyncio.sleep(state.parser.retry_seconds)


def stream_events(
    self: Sender, *, types: list[str] | None = None, queues: list[str] | None = None, cursor: str | None = None
) -> Iterator[ServerEvent]:
    """Follow all events of the project: a `snapshot`, then every `job.*` event exactly once."""
    return stream(self, "/v1/events", type=types, queue=queues, cursor=cursor)


def stream_events_async(
    self: AsyncSender,
    *,
    types: list[str] | None = None,
    queues: list[str] | None = None,
    cursor: str | None = None,
) -> AsyncIterator[ServerEvent]:
    """Follow all events of the project: a `snapshot`, then every `job.*` event exactly once."""
    return stream_async(self, "/v1/events", type=types, queue=queues, cursor=cursor)


def stream_job(self: Sender, job_id: str) -> Iterator[ServerEvent]:
    """Follow one job until it ends: a `snapshot`, its `job.*` events, and `job` whenever it has changed."""
    return stream(self, job_path(job_id, "/stream"))


def stream_job_async(self: AsyncSender, job_id: str) -> AsyncIterator[ServerEvent]:
    """Follow one job until it ends: a `snapshot`, its `job.*` events, and `job` whenever it has changed."""
    return stream_async(self, job_path(job_id, "/stream"))
