"""Every event in every state under every guard: what PostgreSQL does is what the table of the lifecycle says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, combinations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from app.db import claims, reports, tables, transitions
from app.db.claims import Slot
from app.db.connection import Connection
from app.db.reports import Heartbeat, HeldToken, Recorded
from app.db.transitions import Move, Moved
from app.domain.job import CANCEL_GRACE_SECONDS, ClaimFilter
from app.domain.states import (
    LEASED,
    LIVE,
    NO_EFFECTS,
    TERMINAL,
    Due,
    Guard,
    JobEvent,
    JobState,
    Transition,
    next_state,
    rows_for,
)
from tests import factories
from tests.factories import HOUR, Made

HOUR_AGO = factories.in_seconds(-HOUR)
RETRY_AFTER_SECONDS = 7.0


@dataclass(frozen=True)
class Case:
    """A job in a state, with some of the event's guards holding."""

    event: JobEvent
    state: JobState
    holding: frozenset[Guard]

    @property
    def target(self) -> JobState | None:
        return next_state(self.event, self.state, self.holding)

    @property
    def row(self) -> Transition:
        """The row of the table that applies."""
        rows = rows_for(self.event)
        return next(r for r in rows if self.state in r.sources and (r.guard is None or r.guard in self.holding))

    @property
    def changes(self) -> bool:
        return self.target is not None and (self.target is not self.state or self.row.effects != NO_EFFECTS)


def cases(event: JobEvent) -> Iterator[Case]:
    guards = sorted({row.guard for row in rows_for(event) if row.guard})
    subsets = chain.from_iterable(combinations(guards, n) for n in range(len(guards) + 1))
    for holding in subsets:
        for state in JobState:
            yield Case(event, state, frozenset(holding))


async def put(connection: Connection, project_id: UUID, case: Case, **columns: Any) -> Made:
    """A row that only the state can make the event refuse: it has the token, a lapsed lease and a past deadline."""
    may_retry = case.holding & {Guard.MAY_RETRY, Guard.ATTEMPTS_REMAIN}
    values: dict[str, Any] = {
        "attempt": 1,
        "max_attempts": 2 if may_retry else 1,
        "token": uuid4(),
        "expires_at": HOUR_AGO if case.event is JobEvent.DEADLINE else None,
        "error_code": "earlier",
        "error_message": "of an earlier attempt",
    }
    failed = int(Guard.ITEM_FAILED in case.holding)
    run: dict[str, Any] = {"version": 5, "items_failed": failed}
    if case.event is JobEvent.CLAIM:
        values |= {"attempt": 0, "max_attempts": 1}
    if case.event is JobEvent.LEASE_RAN_OUT:
        run["lease_ends_at"] = HOUR_AGO
    if case.event is JobEvent.CANCEL:
        run["lease_ends_at"] = None
    return await factories.job(
        connection,
        project_id,
        state=case.state,
        due_in_seconds=-HOUR if Guard.DUE in case.holding else HOUR,
        items=1,
        items_failed=failed,
        run=run,
        **(values | columns),
    )


def move_of(made: Made, case: Case) -> Move:
    return Move(
        project_id=made.project_id,
        job_id=made.id,
        token=made.token,
        retryable=Guard.MAY_RETRY in case.holding,
        retry_after_seconds=RETRY_AFTER_SECONDS,
        error_code="boom",
        error_message="of this attempt",
        cancelled_by="a key",
        final_call=b"call",
    )


def heartbeat_of(made: Made) -> Heartbeat:
    return Heartbeat(project_id=made.project_id, job_id=made.id, token=made.held_by, lease_seconds=None)


WAYS = [
    *((event, "locked before") for event in JobEvent),
    *((event, "at once") for event in (JobEvent.REPORT, *transitions.MOVES_AT_ONCE)),
]


async def do(
    connection: Connection, event: JobEvent, asked: list[tuple[Case, Made]], way: str
) -> Mapping[UUID, Moved | Recorded]:
    if event is JobEvent.CLAIM:
        wanted = ClaimFilter(project_id=asked[0][1].project_id)
        places = [Slot(uuid4(), "w", 30) for _ in range(2 * len(asked))]
        taken = await claims.claim(connection, wanted, places)
        return {one.moved.job_id: one.moved for one in taken}
    if way == "locked before":
        await transitions.lock_in_order(connection, [made.key for _, made in asked])
    if event is JobEvent.REPORT:
        extend = reports.extend_at_once if way == "at once" else reports.extend
        recorded = await extend(connection, [heartbeat_of(made) for _, made in asked])
        return {one.job_id: one for one in recorded if one.source is not one.target}
    move = transitions.move_at_once if way == "at once" else transitions.move
    moved = await move(connection, event, [move_of(made, case) for case, made in asked])
    return {one.job_id: one for one in moved}


@pytest.mark.parametrize(("event", "way"), WAYS)
async def test_every_event_in_every_state_under_every_guard(connection: Connection, event: JobEvent, way: str) -> None:
    project_id = await factories.project(connection)
    asked = [(case, await put(connection, project_id, case)) for case in cases(event)]
    before = {made.id: await factories.whole(connection, made) for _, made in asked}

    moved = await do(connection, event, asked, way)

    for case, made in asked:
        now = await factories.row(connection, made)
        if way == "at once" and event is JobEvent.REPORT and case.state not in LEASED:
            # Where a lease ran out, the job needs a place in its queue again, which takes the transaction.
            assert made.id not in moved, case
            assert await factories.whole(connection, made) == before[made.id], case
            continue
        assert now.state == (case.target or case.state), case
        assert (made.id in moved) == case.changes, case
        if not case.changes:
            job, run, *rest = await factories.whole(connection, made)
            # What a report that is accepted extends is its lease.
            extended = event is JobEvent.REPORT and case.target is not None
            assert (job, before[made.id][1] if extended else run, *rest) == before[made.id], case
            continue
        was = before[made.id][0]
        run = await factories.run_row(connection, made)
        assert (moved[made.id].source, moved[made.id].target) == (case.state, case.target), case
        assert (now.completed_at is not None) == (case.target in TERMINAL), case
        assert (run is None) == (case.target in TERMINAL), case
        assert now.status_changed_at > was.status_changed_at, case
        shown_before = was.version + before[made.id][1].version
        assert now.version + (run.version if run else 0) > shown_before, case
        if run and case.target not in LEASED:
            assert run.lease_ends_at is None, case
        if event is not JobEvent.CLAIM:
            await assert_effects(connection, case, made, was=was, now=now)


async def assert_effects(connection: Connection, case: Case, made: Made, *, was: Any, now: Any) -> None:
    """What the table says of the row that applied is what became of the job, and nothing else did."""
    effects, moment = case.row.effects, now.updated_at
    assert now.token == (None if effects.spends_token else was.token), case
    assert now.worker == (None if effects.spends_token else was.worker), case
    assert now.attempt == was.attempt - effects.returns_attempt, case
    due = {
        None: was.scheduled_at,
        Due.NOW: moment,
        Due.AFTER_BACKOFF: moment + timedelta(seconds=RETRY_AFTER_SECONDS),
    }
    assert now.scheduled_at == due[effects.due], case
    assert now.cancelled_at == (moment if effects.stamps_cancel else was.cancelled_at), case
    assert now.cancelled_by == ("a key" if effects.stamps_cancel else was.cancelled_by), case
    errors = (was.error_code, was.error_message) if case.event is JobEvent.REPORT else ("boom", "of this attempt")
    assert (now.error_code, now.error_message) == ((None, None) if effects.clears_error else errors), case
    assert now.progress == (100 if effects.finishes else was.progress), case
    run = await factories.run_row(connection, made)
    if run and case.target in LEASED and case.event is JobEvent.CANCEL:
        grace = moment + timedelta(seconds=CANCEL_GRACE_SECONDS)
        assert run.lease_ends_at == (grace if effects.grants_grace else None), case
    events = tables.events
    told = select(events.c.type).where(events.c.project_id == made.project_id, events.c.job_id == made.id)
    word = "progressed" if case.event is JobEvent.REPORT else effects.recorded_as or case.target
    expected = [f"job.{word}"]
    assert list((await connection.core.execute(told)).scalars()) == expected, case


@pytest.mark.parametrize(("event", "way"), [way for way in WAYS if way[0] is not JobEvent.CANCEL])
async def test_a_fence_that_does_not_hold_changes_nothing_in_any_state(
    connection: Connection, event: JobEvent, way: str
) -> None:
    """Another token, a lease or deadline still to come; for a claim a deadline that has passed. A cancel has none."""
    project_id = await factories.project(connection)
    later = factories.in_seconds(HOUR)
    asked = []
    for case in cases(event):
        made = await put(
            connection, project_id, case, expires_at=HOUR_AGO if event is JobEvent.CLAIM else later, token=uuid4()
        )
        asked.append((case, Made(made.project_id, made.id, uuid4())))
    runs = tables.runs
    await connection.core.execute(runs.update().where(runs.c.project_id == project_id).values(lease_ends_at=later))
    before = {made.id: await factories.whole(connection, made) for _, made in asked}

    assert not await do(connection, event, asked, way)

    for case, made in asked:
        assert await factories.whole(connection, made) == before[made.id], case


async def test_a_report_is_admitted_where_the_table_says(connection: Connection) -> None:
    project_id = await factories.project(connection)
    asked = [(case, await put(connection, project_id, case)) for case in cases(JobEvent.REPORT)]

    admitted = await reports.admit(
        connection,
        [HeldToken(project_id, made.id, made.held_by) for _, made in asked],
    )

    for case, made in asked:
        found = admitted.get(made.id)
        assert (found.target if found else None) == case.target, case
        assert found is None or found.source is case.state


async def test_a_run_exists_for_every_live_case(connection: Connection) -> None:
    """The matrix means nothing if a missing run, and not the state, refused the event."""
    project_id = await factories.project(connection)
    for case in cases(JobEvent.LEASE_RAN_OUT):
        await put(connection, project_id, case)
    count = (await connection.core.execute(select(func.count()).select_from(tables.runs))).scalar_one()
    assert count == 2 * len(LIVE)
