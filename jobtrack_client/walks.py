"""Methods of the clients that take more than one call: iterate over pages, follow a log, follow a stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx

from jobtrack_client import calls, job_calls
from jobtrack_client.call import Call, job_path
from jobtrack_client.errors import JobtrackError, from_response
from jobtrack_client.event_stream import EventParser, ServerEvent
from jobtrack_client.follow import Follow
from jobtrack_client.job_models import LogPage, StoredLogLine
from jobtrack_client.models import Item, Job, is_terminal
from jobtrack_client.retry import unreachable, unsendable
from jobtrack_client.sender import AsyncSender, Sender
from jobtrack_client.waits import follow, follow_async

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
    """Yield a job's log lines as they arrive, until the job has ended; absences of the service do not end it."""
    ended = False
    while not ended:
        page = follow(self, Follow(None, answered=self.answered), _lines_from(job_id, offset), LOG_WAIT_SECONDS)
        yield from page["logs"]
        offset, ended = page["next_offset"], page["ended"]


async def follow_logs_async(self: AsyncSender, job_id: str, offset: int = 0) -> AsyncIterator[StoredLogLine]:
    """Yield a job's log lines as they arrive, until the job has ended; absences of the service do not end it."""
    ended = False
    while not ended:
        limits = Follow(None, answered=self.answered)
        page = await follow_async(self, limits, _lines_from(job_id, offset), LOG_WAIT_SECONDS)
        for line in page["logs"]:
            yield line
        offset, ended = page["next_offset"], page["ended"]


def _lines_from(job_id: str, offset: int) -> Callable[[int], Call[LogPage]]:
    return lambda seconds: job_calls.read_logs(job_id, offset=offset, wait=seconds)


class _Stream:
    """The position in a stream: what to request next, what has been read, and whether that was all."""

    def __init__(self, sender: Sender | AsyncSender, path: str, params: Mapping[str, Any]) -> None:
        self.path = path
        self.params = {name: value for name, value in params.items() if value}
        self.parser = EventParser()
        self.is_over = False
        self._limits = Follow(None, answered=sender.answered)
        self._sender = sender
        self._of_a_job = path.endswith("/stream")

    def request(self, timeout: float) -> dict[str, Any]:
        """Return the arguments for httpx; after the first event, the stream resumes where it was interrupted."""
        headers = {"Accept": "text/event-stream"}
        if self.parser.last_id:
            headers["Last-Event-ID"] = self.parser.last_id
        timeouts = httpx.Timeout(timeout, read=STREAM_SILENCE_SECONDS)
        return {"method": "GET", "url": self.path, "params": self.params, "headers": headers, "timeout": timeouts}

    def begin(self, response: httpx.Response) -> None:
        """Begin to read a successful response; one without content says that everything was told before."""
        self.parser.restart()
        self._sender.answered = True
        self._limits.after_answer()
        self.is_over = self._of_a_job and response.status_code == httpx.codes.NO_CONTENT

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Yield the events that this chunk completes. Only a job that has ended ends the stream, never its last byte:
        the service ends every stream when it stops, and after ten minutes.
        """
        for event in self.parser.feed(chunk):
            if self._of_a_job and event.name in ("snapshot", "job"):
                self.is_over = is_terminal(event.data)
            yield event

    def after_error(self, error: JobtrackError | httpx.TransportError) -> float:
        """Return the pause before the next connection, or raise the error if none is worth it."""
        if isinstance(error, httpx.TransportError):
            error = unreachable(error, self._sender.url)
        return self._limits.after_error(error)


def stream(self: Sender, path: str, **params: Any) -> Iterator[ServerEvent]:
    """Yield the events of a stream and resume it whenever it breaks off; the stream of a job ends with the job."""
    state = _Stream(self, path, params)
    while True:
        try:
            with self._http.stream(**state.request(self._timeout)) as response:
                if not response.is_success:
                    response.read()
                    raise from_response(response, self.url)
                state.begin(response)
                for chunk in response.iter_bytes():
                    yield from state.feed(chunk)
            if state.is_over:
                return
            pause = state.parser.retry_seconds
        except httpx.InvalidURL as error:
            raise unsendable(error) from error
        except (httpx.TransportError, JobtrackError) as error:
            pause = state.after_error(error)
        time.sleep(pause)


async def stream_async(self: AsyncSender, path: str, **params: Any) -> AsyncIterator[ServerEvent]:
    """Yield the events of a stream and resume it whenever it breaks off; the stream of a job ends with the job."""
    state = _Stream(self, path, params)
    while True:
        try:
            async with self._http.stream(**state.request(self._timeout)) as response:
                if not response.is_success:
                    await response.aread()
                    raise from_response(response, self.url)
                state.begin(response)
                async for chunk in response.aiter_bytes():
                    for event in state.feed(chunk):
                        yield event
            if state.is_over:
                return
            pause = state.parser.retry_seconds
        except httpx.InvalidURL as error:
            raise unsendable(error) from error
        except (httpx.TransportError, JobtrackError) as error:
            pause = state.after_error(error)
        await asyncio.sleep(pause)


def stream_events(
    self: Sender, *, types: list[str] | None = None, queues: list[str] | None = None, cursor: str | None = None
) -> Iterator[ServerEvent]:
    """Follow all events of the project: a `snapshot`, then every `job.*` event exactly once.

    After a `reset` with the reason `other_cluster` comes another `snapshot`: the database was restored from a dump, and
    what happened in between is in the jobs alone.
    """
    return stream(self, "/v1/events", type=types, queue=queues, cursor=cursor)


def stream_events_async(
    self: AsyncSender,
    *,
    types: list[str] | None = None,
    queues: list[str] | None = None,
    cursor: str | None = None,
) -> AsyncIterator[ServerEvent]:
    """Follow all events of the project: a `snapshot`, then every `job.*` event exactly once.

    After a `reset` with the reason `other_cluster` comes another `snapshot`: the database was restored from a dump, and
    what happened in between is in the jobs alone.
    """
    return stream_async(self, "/v1/events", type=types, queue=queues, cursor=cursor)


def stream_job(self: Sender, job_id: str, *, cursor: str | None = None) -> Iterator[ServerEvent]:
    """Follow one job until it ends: a `snapshot`, its `job.*` events, and `job` whenever it has changed.

    With `cursor`, the id of an event, only later ones are yielded. After an interruption there is another `snapshot`.
    Raises `NotFound` if the job is deleted before its end is told.
    """
    return stream(self, job_path(job_id, "/stream"), cursor=cursor)


def stream_job_async(self: AsyncSender, job_id: str, *, cursor: str | None = None) -> AsyncIterator[ServerEvent]:
    """Follow one job until it ends: a `snapshot`, its `job.*` events, and `job` whenever it has changed.

    With `cursor`, the id of an event, only later ones are yielded. After an interruption there is another `snapshot`.
    Raises `NotFound` if the job is deleted before its end is told.
    """
    return stream_async(self, job_path(job_id, "/stream"), cursor=cursor)
