"""The way of a worker's calls to the service: alone, or several jobs' in one request while others are under way.

At most two requests of reports and two of ends are under way at a time, and what comes meanwhile goes with the next. So
a worker of a few jobs sends each call by itself and at once, and one of many sends few requests. With the ends of
attempts it claims the next jobs for the places that become free.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from jobtrack_client.call import Call
from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.errors import Forbidden, JobtrackError, Unavailable, Unprocessable, from_problem
from jobtrack_client.models import ClaimedJob, WorkersNextClaim
from jobtrack_client.patience import logger, may_pass, once
from jobtrack_client.updates import NOTHING, Size, size_of
from jobtrack_client.worker_calls import reports, reports_and_claim

T = TypeVar("T")
Action = Literal["report", "complete", "fail", "release"]

# One that hangs must not hold up the heartbeats of the other jobs.
_LANES = 2
# Of one request: a fraction of what the service takes, so that none is refused for the company it is in.
_MOST_CALLS = 100
_MOST = Size(4 * 1024 * 1024, 200_000)


@dataclasses.dataclass(slots=True, eq=False)
class _Submission:
    job_id: str
    action: Action
    call: Call[Any]
    frees_place: bool
    size: Size
    answer: asyncio.Future[Any]

    @property
    def row(self) -> dict[str, Any]:
        """The call as an entry of a batch."""
        return {"job_id": self.job_id, "action": self.action, **(self.call.body or {})}


@dataclasses.dataclass(slots=True)
class _Queue:
    """Calls of a kind that wait, and the tasks that send them."""

    waiting: list[_Submission] = dataclasses.field(default_factory=list)
    lanes: set[asyncio.Task[None]] = dataclasses.field(default_factory=set)


class Submitter:
    """Sends the calls of a worker's jobs.

    `next_claim` returns what to claim for so many places that become free, if anything; `take` gets the claimed jobs.
    """

    def __init__(
        self,
        client: AsyncJobtrackClient,
        *,
        next_claim: Callable[[int], WorkersNextClaim | None],
        take: Callable[[list[ClaimedJob]], object],
    ) -> None:
        self.client = client
        self._next_claim = next_claim
        self._take = take
        self._claims = True
        # An end may take longer, since it claims, and is waited for longer: it must not hold up the heartbeats.
        self._reports = _Queue()
        self._ends = _Queue()

    async def submit(
        self, job_id: str, action: Action, call: Call[T], *, timeout_seconds: float, frees_place: bool = False
    ) -> T:
        """Send the call within this time and return its result; it is not repeated.

        With `frees_place` the job's place is free once this is answered.
        """
        queue = self._reports if action == "report" else self._ends
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # What finds a free lane goes alone, or with few: it is not worth the time to measure it.
        size = size_of(call.body) if queue.lanes else NOTHING
        queue.waiting.append(_Submission(job_id, action, once(call, timeout_seconds), frees_place, size, answer))
        if len(queue.lanes) < _LANES:
            queue.lanes.add(asyncio.create_task(self._send_waiting(queue), name="jobtrack submitter"))
        return await answer

    async def close(self) -> None:
        """End what is under way; whoever waits for it is cancelled."""
        lanes = self._reports.lanes | self._ends.lanes
        for lane in lanes:
            lane.cancel()
        if lanes:
            await asyncio.wait(lanes)

    async def _send_waiting(self, queue: _Queue) -> None:
        try:
            while batch := _next_batch(queue):
                try:
                    await self._send(batch)
                except BaseException as error:
                    for entry in batch:
                        # A cancellation is that of the worker, whose runs are then cancelled, too.
                        _answer(entry, error if isinstance(error, Exception) else asyncio.CancelledError())
                    if not isinstance(error, Exception):
                        raise
        finally:
            # In the step that found nothing: a callback of the task would come after a call that still counts on it.
            queue.lanes.discard(asyncio.current_task())

    async def _send(self, batch: list[_Submission]) -> None:
        if len(batch) > 1:
            try:
                await self._send_together(batch)
            except JobtrackError as error:
                if may_pass(error):
                    raise
                logger.debug("a batch of %d calls was refused, each is sent alone: %s", len(batch), error)
            else:
                return
        for entry in batch:
            try:
                result, claimed = await self._send_alone(entry)
            except Exception as error:  # noqa: BLE001  it is that call's own
                _answer(entry, error)
            else:
                _answer(entry, result)
                self._take(claimed)

    async def _send_together(self, batch: list[_Submission]) -> None:
        rows: Any = [entry.row for entry in batch]
        timeout = min(entry.call.timeout or 0 for entry in batch)
        claim = self._claim_for(batch)
        claimed: list[ClaimedJob] = []
        if claim is None:
            results = await self.client.send(once(reports(rows), timeout))
        else:
            answer = await self.client.send(once(reports_and_claim(rows, claim), timeout))
            results, claimed = answer["results"], answer["claimed"]
        if len(results) != len(batch):
            raise _broken(self.client.url)
        for entry, result in zip(batch, results, strict=True):
            _answer(entry, self._read(entry, result))
        self._take(claimed)

    def _read(self, entry: _Submission, result: Any) -> Any:
        """Return the outcome of a row, or the error that it means."""
        try:
            problem = result.get("problem")
            if problem is not None:
                return from_problem(int(problem.get("status") or 0), problem, self.client.url)
            return entry.call.read(result["outcome"])
        except (AttributeError, KeyError, TypeError, ValueError):
            return _broken(self.client.url)

    async def _send_alone(self, entry: _Submission) -> tuple[Any, list[ClaimedJob]]:
        """Send a call by itself and return its result, and the jobs that were claimed with it."""
        call = entry.call
        claim = self._claim_for([entry])
        if claim is None:
            return await self.client.send(call), []
        own = {name: value for name, value in claim.items() if name != "worker"}
        try:
            answer = await self.client.send(dataclasses.replace(call, body={**(call.body or {}), "claim": own}))
        except (Forbidden, Unprocessable) as error:
            if isinstance(error, Unprocessable) and not any(_is_of_claim(fault) for fault in error.errors):
                raise
            # The end of the attempt must not fail for the sake of the next one: the claims by themselves say why.
            self._claims = False
            return await self.client.send(call), []
        return answer, answer.get("claimed") or []

    def _claim_for(self, batch: list[_Submission]) -> WorkersNextClaim | None:
        places = sum(entry.frees_place for entry in batch)
        return self._next_claim(places) if places and self._claims else None


def _next_batch(queue: _Queue) -> list[_Submission]:
    """Remove and return what waits, without what nobody waits for any more, as much as one request may hold."""
    waiting = [entry for entry in queue.waiting if not entry.answer.done()]
    count, size = 0, NOTHING
    for entry in waiting[:_MOST_CALLS]:
        size = size.plus(entry.size)
        if count and not size.within(_MOST):
            break
        count += 1
    queue.waiting = waiting[count:]
    return waiting[:count]


def _answer(entry: _Submission, result: Any) -> None:
    if entry.answer.done():
        return
    if isinstance(result, asyncio.CancelledError):
        entry.answer.cancel()
    elif isinstance(result, Exception):
        entry.answer.set_exception(result)
    else:
        entry.answer.set_result(result)


def _is_of_claim(fault: dict[str, Any]) -> bool:
    pointer = str(fault.get("pointer"))
    return pointer == "/claim" or pointer.startswith("/claim/")


def _broken(address: str) -> Unavailable:
    return Unavailable(f"The server at {address} does not speak Jobtrack's protocol", code="broken_answer")
