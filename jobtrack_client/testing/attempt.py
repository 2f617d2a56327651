"""One attempt of a handler without a service: the worker's own code, with the service played in memory."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.handler import Handler
from jobtrack_client.heartbeats import Heartbeats
from jobtrack_client.models import ItemUpdate
from jobtrack_client.run import Run, RunOptions
from jobtrack_client.submitter import Submitter
from jobtrack_client.testing.outcome import Outcome
from jobtrack_client.testing.played import PlayedService

# No heartbeat is due in a test.
_LEASE_SECONDS = 86_400


def run(
    handler: Handler,
    payload: object = None,
    *,
    items: Iterable[str] = (),
    checkpoint: object = None,
    retry_of: Outcome | None = None,
    rerun_of: Outcome | None = None,
    cancel_at: str | None = None,
    max_attempts: int = 3,
    max_run_seconds: float = 60.0,
    strict_items: bool = False,
) -> Outcome:
    """Run a handler as a worker does, and return what the service would know of its job.

    `items` are the keys that the job is created with, `checkpoint` is what an earlier attempt has saved. `retry_of` is
    the outcome of the attempt before this one, `rerun_of` that of a job whose failed items are to be done: both
    bring the payload with them. When the handler reports the item or the stage named `cancel_at`, the cancellation
    of its job is requested. For tests that are coroutines there is `run_async`.
    """
    attempt = run_async(
        handler,
        payload,
        items=items,
        checkpoint=checkpoint,
        retry_of=retry_of,
        rerun_of=rerun_of,
        cancel_at=cancel_at,
        max_attempts=max_attempts,
        max_run_seconds=max_run_seconds,
        strict_items=strict_items,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(attempt)
    attempt.close()
    raise RuntimeError("An event loop runs already: use `await run_async(...)`")


async def run_async(
    handler: Handler,
    payload: object = None,
    *,
    items: Iterable[str] = (),
    checkpoint: object = None,
    retry_of: Outcome | None = None,
    rerun_of: Outcome | None = None,
    cancel_at: str | None = None,
    max_attempts: int = 3,
    max_run_seconds: float = 60.0,
    strict_items: bool = False,
) -> Outcome:
    """Run a handler as `run` does, in the running event loop."""
    if retry_of is not None:
        job = retry_of.next_attempt()
    elif rerun_of is not None:
        job = rerun_of.rerun()
    else:
        queued = {key: {"key": key, "status": "queued"} for key in items}
        # As it comes over the network: a handler must not depend on tuples, or change the test's own objects.
        job = Outcome(payload=_copied(payload), items=queued, stored_checkpoint=_copied(checkpoint))
    service = PlayedService(job, max_attempts=max_attempts)
    async with AsyncJobtrackClient("http://played.invalid", "played", transport=service) as client:
        heartbeats = Heartbeats(
            client.synchronous, lease_seconds=_LEASE_SECONDS, grace_seconds=max_run_seconds, on_over=lambda _: None
        )

        def on_name(name: str) -> None:
            if name == cancel_at:
                service.cancel_requested = True
                attempt.stop.request("cancel", "Cancellation was requested")

        # One job and no next: every call goes alone.
        submitter = Submitter(client, next_claim=lambda _: None, take=lambda _: None)
        attempt = Run(
            submitter,
            service.claimed(),
            handler,
            heartbeats,
            RunOptions(_LEASE_SECONDS, flush_seconds=0.0, grace_seconds=max_run_seconds, strict_items=strict_items),
            max_run_seconds=max_run_seconds,
            make_buffer=functools.partial(_ObservedBuffer, on_name=on_name),
        )
        try:
            await attempt.work()
        finally:
            await submitter.close()
            await heartbeats.close()
    return service.job


class _ObservedBuffer(ReportBuffer):
    """A buffer that tells, in the handler's thread and before it goes on, which items and stages it reports."""

    def __init__(self, wake: Callable[[bool], None], *, on_name: Callable[[str], None], **options: Any) -> None:
        super().__init__(wake, **options)
        self._on_name = on_name

    def add_fields(self, **fields: str | float | None) -> None:
        super().add_fields(**fields)
        self._on_name(str(fields.get("stage")))

    def add_items(self, updates: Iterable[ItemUpdate]) -> None:
        updates = list(updates)
        super().add_items(updates)
        for update in updates:
            self._on_name(str(update.get("key")))


def _copied(value: object) -> Any:
    return json.loads(json.dumps(value))
