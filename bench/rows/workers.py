"""Row 9: sixteen workers that claim, report and complete over HTTP."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench import wal
from bench.load import generator
from bench.load.working import JOBS_A_CLAIM, Form, work
from bench.result import Omission, Result, Target, shown
from bench.session import Costs, Session, medians, note_each

WORKERS = 16
# More than the figures ask for; where a service is faster still, its jobs run out and the time until then counts.
READY_PER_SECOND = {Form.ONE: 3_000, Form.FUSED: 4_000, Form.MANY: 20_000, Form.ENDS: 20_000}
_FIGURES = {Form.ONE: 1_000, Form.FUSED: 1_500, Form.MANY: 6_000}
_CALLS = {
    Form.ONE: "three calls a job",
    Form.FUSED: "two calls a job: the completion claims the next",
    Form.MANY: f"claims of {JOBS_A_CLAIM}, then a call with all reports and one with all completions",
    Form.ENDS: f"claims of {JOBS_A_CLAIM}, then a call with all completions",
}
_COST, _WAL, _LEAST = "milliseconds", "WAL", "WAL at least"


def measure(session: Session) -> Iterator[Result | Omission]:
    forms = [form for form in Form if form is not Form.FUSED or _knows_claim_in_complete(session)]
    costs: dict[Form, Costs] = {form: {} for form in forms}
    each: dict[Form, Costs] = {form: {_COST: [], _WAL: [], _LEAST: []} for form in forms}
    cases = {form.value: lambda form=form: _worked(session, form, costs[form], each[form]) for form in forms}
    found = session.rounds(9, cases, "jobs/s")
    for form in forms:
        figure = _FIGURES.get(form)
        yield Result(
            row=9,
            name=_name(form),
            unit="jobs/s",
            rounds=found[form.value],
            target=Target("at least", figure) if figure else None,
            costs=medians(costs[form]),
            note=f"{WORKERS} workers; {_CALLS[form]}",
        )
    if Form.FUSED in forms:
        yield Result(
            row=9,
            name="Service and database, a job with claim in complete",
            unit="ms of processor",
            rounds=each[Form.FUSED][_COST],
            target=Target("at most", 0.5, Form.ONE),
            beside={Form.ONE.value: each[Form.ONE][_COST]},
        )
    else:
        yield Omission(9, _name(Form.FUSED), "This version of the API knows no `claim` in `complete`.")
    yield Result(
        row=9,
        name=f"Service and database, a job claimed and completed by {JOBS_A_CLAIM}",
        unit="ms of processor",
        rounds=each[Form.ENDS][_COST],
        target=Target("at most", 0.15),
        beside={Form.ONE.value: each[Form.ONE][_COST], Form.MANY.value: each[Form.MANY][_COST]},
    )
    yield Result(
        row=9,
        name=f"WAL of a job claimed and completed by {JOBS_A_CLAIM}",
        unit="bytes",
        rounds=each[Form.ENDS][_WAL],
        target=Target("at most", 2_600),
        beside={Form.ONE.value: each[Form.ONE][_WAL], Form.MANY.value: each[Form.MANY][_WAL]},
        note="the job's creation is not in it. "
        + _images(wal.inspected(session.service.superuser_url), each[Form.ENDS]),
    )


def _name(form: Form) -> str:
    return "Claim, complete, by a hundred" if form is Form.ENDS else f"Claim, report, complete, {form.value}"


def _images(inspected: bool, each: Costs) -> str:
    if inspected:
        return "Full-page images are not in it either, by pg_walinspect"
    least = shown(statistics.median(each[_LEAST]))
    return f"The full-page images of the time are, for want of pg_walinspect: without them it is {least} at least"


def _knows_claim_in_complete(session: Session) -> bool:
    with session.service.client() as client:
        schemas = client.get("/openapi.json").raise_for_status().json()["components"]["schemas"]
    return "claim" in schemas["CompleteIn"]["properties"]


def _worked(session: Session, form: Form, costs: Costs, each: Costs) -> float:
    queue = f"work-{form.name.lower()}-{len(each[_COST])}"
    seconds = session.scale.seconds
    wal.checkpoint(session.service.superuser_url)
    session.store.pending(int(READY_PER_SECOND[form] * seconds), queue=queue)
    with session.meter.measuring(costs), session.meter.spending() as spent:
        found = generator.run(work, session.service.port, queue, workers=WORKERS, seconds=seconds, form=form)
    note_each(costs, spent.microseconds(found.jobs))
    each[_COST].append(spent.milliseconds(found.jobs))
    written = wal.written(session.service.superuser_url, spent)
    each[_WAL].append(written.most / found.jobs)
    each[_LEAST].append(written.least / found.jobs)
    # What is left of them is not to be there in the next round.
    session.store.run(f"UPDATE queues SET paused = true WHERE name = '{queue}'")  # noqa: S608 - our own word
    return found.jobs / found.seconds
