"""Row 9: sixteen workers that claim, report and complete over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from bench.load import generator
from bench.load.working import JOBS_A_CLAIM, work
from bench.result import Result, Target
from bench.session import Costs, Session, medians

WORKERS = 16
# More than the figures ask for; where a service is faster still, its jobs run out and the time until then counts.
_READY_PER_SECOND = {False: 3_000, True: 20_000}


def measure(session: Session) -> Iterator[Result]:
    costs: dict[bool, Costs] = {False: {}, True: {}}

    def worked(*, batched: bool) -> float:
        queue = f"work-{'many' if batched else 'one'}-{len(costs[batched].get('RSS MB', ()))}"
        session.store.pending(int(_READY_PER_SECOND[batched] * session.scale.seconds), queue=queue)
        with session.meter.measuring(costs[batched]):
            found = generator.run(
                work, session.service.port, queue, workers=WORKERS, seconds=session.scale.seconds, batched=batched
            )
        # What is left of them is not to be there in the next round.
        session.store.run(f"UPDATE queues SET paused = true WHERE name = '{queue}'")  # noqa: S608 - our own word
        return found.jobs / found.seconds

    one, many = "one by one", "with POST /v1/reports"
    found = session.rounds(9, {one: lambda: worked(batched=False), many: lambda: worked(batched=True)}, "jobs/s")
    for name, batched, figure, note in (
        (one, False, 1_200, "three calls a job"),
        (many, True, 8_000, f"claims of {JOBS_A_CLAIM}, then a call with all reports and one with all completions"),
    ):
        yield Result(
            row=9,
            name=f"Claim, report, complete, {name}",
            unit="jobs/s",
            rounds=found[name],
            target=Target("at least", figure),
            costs=medians(costs[batched]),
            note=f"{WORKERS} workers; {note}",
        )
