"""The two clients with the same methods, one for synchronous code and one for asyncio.

What a method sends and how its response is read is in `calls`, `job_calls`, `admin_calls` and `worker_calls`; methods
of several calls are in `waits` and `walks`, and the sending itself is in `sender`. Here they become methods of a class.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from jobtrack_client import admin_calls, calls, job_calls, waits, walks, worker_calls
from jobtrack_client.call import Call
from jobtrack_client.models import Job
from jobtrack_client.sender import AsyncSender, Sender

P = ParamSpec("P")
T = TypeVar("T")


def _copy_signature(build: Callable[..., object], method: Callable[..., object]) -> None:
    """Copy the name, the docstring and the signature of the function that builds a call to the method that sends it."""
    functools.update_wrapper(method, build)
    signature = inspect.signature(build)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    vars(method)["__signature__"] = signature.replace(parameters=[this, *signature.parameters.values()])


def _method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[JobtrackClient, P], T]:
    def method(client: JobtrackClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.send(build(*args, **kwargs))

    _copy_signature(build, method)
    return method


def _async_method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncJobtrackClient, P], Coroutine[Any, Any, T]]:
    async def method(client: AsyncJobtrackClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.send(build(*args, **kwargs))

    _copy_signature(build, method)
    return method


class JobtrackClient(Sender):
    """A synchronous client of Jobtrack. Threads may share it. Use it as a context manager, or call `close`.

    `url` and `api_key` default to what the command line uses: `JOBTRACK_URL`, else this machine; `JOBTRACK_API_KEY`,
    else the key that the service there has written. Calls that are safe to repeat are retried, as `retry` says, when
    the connection breaks or the service is briefly unavailable. Every refusal raises a `JobtrackError`.
    """

    create_job = _method(calls.create_job)
    list_items = _method(calls.list_items)
    rerun = _method(calls.rerun)
    cancel = _method(calls.cancel)
    get_waiting = _method(job_calls.get_waiting)
    list_errors = _method(job_calls.list_errors)
    claim = _method(worker_calls.claim)
    report = _method(worker_calls.report)
    complete = _method(worker_calls.complete)
    fail = _method(worker_calls.fail)
    release = _method(worker_calls.release)
    reports = _method(worker_calls.reports)
    reports_and_claim = _method(worker_calls.reports_and_claim)
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
    delete_queue = _method(admin_calls.delete_queue)
    list_workers = _method(admin_calls.list_workers)
    create_key = _method(admin_calls.create_key)
    list_keys = _method(admin_calls.list_keys)
    revoke_key = _method(admin_calls.revoke_key)
    create_session_code = _method(admin_calls.create_session_code)
    wait = waits.wait
    run = waits.run
    wait_jobs = waits.wait_jobs
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
        """Return the job, or None if it still has the version `if_none_match`; see `calls.get_job`."""
        return waits.get_job(self, job_id, wait, if_none_match)


class AsyncJobtrackClient(AsyncSender):
    """`JobtrackClient` for asyncio: the same methods, as coroutines. It belongs to one event loop."""

    create_job = _async_method(calls.create_job)
    list_items = _async_method(calls.list_items)
    rerun = _async_method(calls.rerun)
    cancel = _async_method(calls.cancel)
    get_waiting = _async_method(job_calls.get_waiting)
    list_errors = _async_method(job_calls.list_errors)
    claim = _async_method(worker_calls.claim)
    report = _async_method(worker_calls.report)
    complete = _async_method(worker_calls.complete)
    fail = _async_method(worker_calls.fail)
    release = _async_method(worker_calls.release)
    reports = _async_method(worker_calls.reports)
    reports_and_claim = _async_method(worker_calls.reports_and_claim)
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
    delete_queue = _async_method(admin_calls.delete_queue)
    list_workers = _async_method(admin_calls.list_workers)
    create_key = _async_method(admin_calls.create_key)
    list_keys = _async_method(admin_calls.list_keys)
    revoke_key = _async_method(admin_calls.revoke_key)
    create_session_code = _async_method(admin_calls.create_session_code)
    wait = waits.wait_async
    run = waits.run_async
    wait_jobs = waits.wait_jobs_async
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
        """Return the job, or None if it still has the version `if_none_match`; see `calls.get_job`."""
        return await waits.get_job_async(self, job_id, wait, if_none_match)
