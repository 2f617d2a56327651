"""Calls about many jobs: the jobs that each is about, and its counts, kept under its Idempotency-Key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core import audit
from app.core.batches.changes import changes_of
from app.core.batches.idempotency import bind, load, store
from app.db import transitions
from app.db.connection import Connection
from app.db.transitions import Move
from app.domain.audit import Action, Actor
from app.domain.idempotency import Done, Idempotency
from app.domain.job import JobRef
from app.domain.job_filter import JobFilter, JobIdPage
from app.domain.states import JobEvent
from app.live.change_feed import Change


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """The counts of one call. Call again with `next_before` until it is None."""

    matched: int
    changed: int
    busy: int
    """How many were left out because another transaction had locked them."""
    next_before: UUID | None

    def stored(self) -> dict[str, Any]:
        """Return it as the record of an Idempotency-Key keeps it."""
        counts = {"matched": self.matched, "changed": self.changed, "busy": self.busy}
        return {**counts, "next_before": _text(self.next_before)}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "BulkOutcome":
        """Read it from a record."""
        return cls(body["matched"], body["changed"], body.get("busy", 0), _id(body["next_before"]))


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """The jobs that a call is about, chosen once: what matches its filter changes while it runs."""

    matched: int
    job_ids: Sequence[UUID]
    next_before: UUID | None

    @classmethod
    def of(cls, page: JobIdPage, *, dry_run: bool) -> "BulkPlan":
        """Return the plan of a page of matching jobs. A dry run counts them, and is about none."""
        return cls(len(page.job_ids), () if dry_run else page.job_ids, page.next_before)

    def outcome(self, changed: int, busy: int = 0) -> BulkOutcome:
        """Return the outcome of the call that changed so many of them, and left out so many."""
        return BulkOutcome(self.matched, changed, busy, self.next_before)

    def stored(self) -> dict[str, Any]:
        """Return it as the record of an Idempotency-Key keeps it."""
        job_ids = [str(job_id) for job_id in self.job_ids]
        return {"matched": self.matched, "job_ids": job_ids, "next_before": _text(self.next_before)}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "BulkPlan":
        """Read it from a record."""
        job_ids = [UUID(job_id) for job_id in body["job_ids"]]
        return cls(body["matched"], job_ids, _id(body["next_before"]))


def _text(job_id: UUID | None) -> str | None:
    return None if job_id is None else str(job_id)


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


async def apply_cancel(
    connection: Connection, actor: Actor, job_filter: JobFilter, plan: BulkPlan, key: Idempotency | None
) -> tuple[Done[BulkOutcome], list[Change]]:
    """Cancel the jobs of a plan, unless a call with this key has; returns the outcome and the changes to publish."""
    project_id, by = actor.principal.project_id, actor.principal.name
    changes: list[Change] = []
    refs = [JobRef(project_id, job_id) for job_id in plan.job_ids]
    busy = await transitions.lock_free(connection, refs) if refs else set()
    record = await load(connection, project_id, key)
    if record is not None:
        return Done(BulkOutcome.read(record.body), replayed=True), changes
    if plan.job_ids:
        moves = [Move(project_id=project_id, job_id=ref.job_id, cancelled_by=by) for ref in refs if ref not in busy]
        changes = changes_of(await transitions.move(connection, JobEvent.CANCEL, moves))
        counts = {"matched": plan.matched, "changed": len(changes)}
        audit.record(connection, audit.jobs_changed(Action.JOBS_CANCEL_MANY, actor, job_filter, counts))
    outcome = plan.outcome(len(changes), len(busy))
    # Also where nothing matched: the repeat is not about jobs that were created since.
    await store(connection, [(project_id, key, outcome.stored())])
    return Done(outcome), changes


async def begin_rerun(
    connection: Connection, project_id: UUID, key: Idempotency, plan: BulkPlan
) -> tuple[Done[BulkPlan], BulkOutcome | None]:
    """Bind the key to the jobs chosen first; returns them, and the outcome if an earlier call has stored it."""
    bound = await bind(connection, project_id, key, plan.stored())
    result = await load(connection, project_id, _result_key(key)) if bound.replayed else None
    earlier = None if result is None else BulkOutcome.read(result.body)
    return Done(BulkPlan.read(bound.value), bound.replayed), earlier


async def end_rerun(connection: Connection, project_id: UUID, key: Idempotency, outcome: BulkOutcome) -> BulkOutcome:
    """Store the outcome; returns the one stored first, which may be that of a repeat."""
    return BulkOutcome.read((await bind(connection, project_id, _result_key(key), outcome.stored())).value)


def _result_key(key: Idempotency) -> Idempotency:
    return key.of_row("result")
