"""The two clients: the same methods, one for plain code and one for asyncio.

What a method sends and how its answer is read stands in `calls`, `job_calls`, `admin_calls` and `worker_calls`, what
takes several calls in `walks`; here is only the sending.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

import httpx

from jobtrack_client import admin_calls, calls, job_calls, walks, worker_calls
from jobtrack_client.call import Call, connection
from jobtrack_client.models import Job
from jobtrack_client.retry import Retry

P = ParamSpec("P")
T = TypeVar("T")

# Seconds for connecting, for writing, and for reading an answer that nobody asked to be held.
TIMEOUT_SECONDS = 30.0


def _like(build: Callable[..., object], method: Callable[..., object]) -> None:
    """Give a method the name, the explanation and the signature of what builds its call."""
    functools.update_wrapper(method, build)
    signature = inspect.signature(build)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    whole = signature.replace(parameters=[this, *signature.parameters.values()])
    vars(method)["__signature__"] = whole


def _method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[JobtrackClient, P], T]:
    def method(client: JobtrackClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.send(build(*args, **kwargs))

    _like(build, method)
    return method


def _async_method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncJobtrackClient, P], Coroutine[Any, Any, T]]:
    async def method(client: AsyncJobtrackClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.send(build(*args, **kwargs))

    _like(build, method)
    return method


class JobtrackClient:
    """Talks to Jobtrack from plain code; may be shared by threads; use it as a context manager.

    `url` and `api_key` are by default `JOBTRACK_URL` (else http://127.0.0.1:8000) and
    `JOBTRACK_API_KEY`. Calls that are safe to repeat are repeated as `retry` says when the connection
    breaks or the service is away for a moment; every refusal raises a `JobtrackError`.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent. `transport` replaces the network, as httpx understands it."""
        arguments = connection(url, api_key)
        self.url: str = arguments["base_url"]
        self._timeout = timeout_seconds
        self._retry = retry or Retry()
        self._http = httpx.Client(**arguments, transport=transport)

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe and of use, and give its result."""
        began = time.monotonic()
        for attempt in itertools.count(1):
            arguments = call.arguments(time.monotonic() - began, self._timeout)
            try:
                response = self._http.request(**arguments)
            except httpx.TransportError as error:
                pause: float | None = self._retry.after_error(call, attempt, error, self.url)
            else:
                pause = self._retry.after_answer(call, attempt, response)
                if pause is None:
                    return call.result(response, self.url)
            time.sleep(pause or 0)
        raise AssertionError  # the loop has no end of its own

    create_job = _method(calls.create_job)
    wait_jobs = _method(calls.wait_jobs)
    list_items = _method(calls.list_items)
    rerun = _method(calls.rerun)
    cancel = _method(calls.cancel)
    claim = _method(worker_calls.claim)
    report = _method(worker_calls.report)
    complete = _method(worker_calls.complete)
    fail = _method(worker_calls.fail)
    release = _method(worker_calls.release)
    reports = _method(worker_calls.reports)
    health = _method(calls.health)
    create_jobs = _method(job_calls.create_jobs)
    list_jobs = _method(job_calls.list_jobs)
    cancel_jobs = _method(job_calls.cancel_jobs)
    rerun_jobs = _method(job_calls.rerun_jobs)
    delete_job = _method(job_calls.delete_job)
    list_events = _method(job_calls.list_events)
    read_logs = _method(job_calls.read_logs)
    put_input = _method(job_calls.put_input)
    get_input = _method(job_calls.get_input)
    list_queues = _method(admin_calls.list_queues)
    get_queue = _method(admin_calls.get_queue)
    put_queue = _method(admin_calls.put_queue)
    pause_queue = _method(admin_calls.pause_queue)
    resume_queue = _method(admin_calls.resume_queue)
    create_key = _method(admin_calls.create_key)
    list_keys = _method(admin_calls.list_keys)
    revoke_key = _method(admin_calls.revoke_key)
    iter_items = walks.iter_items
    iter_jobs = walks.iter_jobs
    follow_logs = walks.follow_logs
    stream_job = walks.stream_job
    stream_events = walks.stream_events

    @overload
    def get_job(self, job_id: str, wait: int | None = None) -> Job: ...
    @overload
    def get_job(self, job_id: str, wait: int | None = None, if_none_match: int | str | None = None) -> Job | None: ...
    def get_job(self, job_id: str, wait: int | None = None, if_none_match: int | str | None = None) -> Job | None:
        """As `calls.get_job`: the job, or None when it is still the version that `if_none_match` names."""
        return self.send(calls.get_job(job_id, wait, if_none_match))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Begin a block at whose end the connections are closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()


class AsyncJobtrackClient:
    """`JobtrackClient` for asyncio: the same methods, to be awaited; belongs to one event loop."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent. `transport` replaces the network, as httpx understands it."""
        arguments = connection(url, api_key)
        self.url: str = arguments["base_url"]
        self._timeout = timeout_seconds
        self._retry = retry or Retry()
        self._http = httpx.AsyncClient(**arguments, transport=transport)

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe and of use, and give its result."""
        began = time.monotonic()
        for attempt in itertools.count(1):
            arguments = call.arguments(time.monotonic() - began, self._timeout)
            try:
                response = await self._http.request(**arguments)
            except httpx.TransportError as error:
                pause: float | None = self._retry.after_error(call, attempt, error, self.url)
            else:
                pause = self._retry.after_answer(call, attempt, response)
                if pause is None:
                    return call.result(response, self.url)
            await asyncio.sleep(pause or 0)
        raise AssertionError  # the loop has no end of its own

    create_job = _async_method(calls.create_job)
    wait_jobs = _async_method(calls.wait_jobs)
    list_items = _async_method(calls.list_items)
    rerun = _async_method(calls.rerun)
    cancel = _async_method(calls.cancel)
    claim = _async_method(worker_calls.claim)
    report = _async_method(worker_calls.report)
    complete = _async_method(worker_calls.complete)
    fail = _async_method(worker_calls.fail)
    release = _async_method(worker_calls.release)
    reports = _async_method(worker_calls.reports)
    health = _async_method(calls.health)
    create_jobs = _async_method(job_calls.create_jobs)
    list_jobs = _async_method(job_calls.list_jobs)
    cancel_jobs = _async_method(job_calls.cancel_jobs)
    rerun_jobs = _async_method(job_calls.rerun_jobs)
    delete_job = _async_method(job_calls.delete_job)
    list_events = _async_method(job_calls.list_events)
    read_logs = _async_method(job_calls.read_logs)
    put_input = _async_method(job_calls.put_input)
    get_input = _async_method(job_calls.get_input)
    list_queues = _async_method(admin_calls.list_queues)
    get_queue = _async_method(admin_calls.get_queue)
    put_queue = _async_method(admin_calls.put_queue)
    pause_queue = _async_method(admin_calls.pause_queue)
    resume_queue = _async_method(admin_calls.resume_queue)
    create_key = _async_method(admin_calls.create_key)
    list_keys = _async_method(admin_calls.list_keys)
    revoke_key = _async_method(admin_calls.revoke_key)
    iter_items = walks.iter_items_async
    iter_jobs = walks.iter_jobs_async
    follow_logs = walks.follow_logs_async
    stream_job = walks.stream_job_async
    stream_events = walks.stream_events_async

    @overload
    async def get_job(self, job_id: str, wait: int | None = None) -> Job: ...
    @overload
    async def get_job(
        self, job_id: str, wait: int | None = None, if_none_match: int | str | None = None
    ) -> Job | None: ...
    async def get_job(self, job_id: str, wait: int | None = None, if_none_match: int | str | None = None) -> Job | None:
        """As `calls.get_job`: the job, or None when it is still the version that `if_none_match` names."""
        return await self.send(calls.get_job(job_id, wait, if_none_match))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Begin a block at whose end the connections are closed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()
