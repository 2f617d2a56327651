"""The lifecycle's table turned into SQL: which jobs an event is accepted for, where it leads, and what it does."""

from collections.abc import Callable
from typing import Final

from app.db.lookups import state_among
from app.db.statement import literals
from app.domain.states import NO_EFFECTS, Effects, Guard, JobEvent, rows_for, sources_of

GUARD_SQL: Final = {
    Guard.DUE: "j.scheduled_at <= statement_timestamp()",
    Guard.ITEM_FAILED: "coalesce(r.items_failed, j.items_failed) > 0",
    Guard.MAY_RETRY: "i.retryable AND j.attempt < j.max_attempts",
    Guard.ATTEMPTS_REMAIN: "j.attempt < j.max_attempts",
}

TOKEN_FENCE: Final = "j.token = i.token"  # noqa: S105 - SQL, not a secret
"""Every worker's write is fenced by the token alone: an attempt's number can repeat after a release."""

FENCE_SQL: Final = {
    JobEvent.REPORT: TOKEN_FENCE,
    JobEvent.COMPLETE: TOKEN_FENCE,
    JobEvent.FAIL: TOKEN_FENCE,
    JobEvent.RELEASE: TOKEN_FENCE,
    JobEvent.LEASE_RAN_OUT: "r.lease_ends_at <= statement_timestamp()",
    JobEvent.DEADLINE: "j.expires_at <= statement_timestamp()",
    JobEvent.CANCEL: "true",
}
"""Conditions beside the state, checked again once the row is locked."""


def accepted(event: JobEvent) -> str:
    """Write the WHERE of an event: the fence, and a state from which the lifecycle has a step."""
    return f"{FENCE_SQL[event]} AND {state_among(sources_of(event))}"


def target(event: JobEvent) -> str:
    """Write the state that an event leads to, as a CASE over the rows of the table in their order."""
    arms = (
        f"WHEN j.state IN ({literals(row.sources)})"
        + (f" AND {GUARD_SQL[row.guard]}" if row.guard else "")
        + f" THEN '{row.target}'"
        for row in rows_for(event)
    )
    return f"CASE {' '.join(arms)} END"


def changes(event: JobEvent) -> str:
    """Write whether an event changes a job: a step to the state that the job is in does only where it has effects."""
    stays = {row.target for row in rows_for(event) if row.target in row.sources and row.effects != NO_EFFECTS}
    return "d.target <> d.source" + (f" OR d.target IN ({literals(stays)})" if stays else "")


def by_effect(
    event: JobEvent, written: Callable[[Effects], str | None], otherwise: str, state: str = "d.target"
) -> str:
    """Write an expression that depends on the effects of an event's rows: `written` for those that it returns SQL for,
    `otherwise` for the rest. `state` is the SQL of the state that the event led to.
    """
    arms: dict[str, set[str]] = {}
    for row in rows_for(event):
        # A row whose target is its source changes nothing in the job, so it has no effects.
        if row.sources != (row.target,) and (sql := written(row.effects)) is not None:
            arms.setdefault(sql, set()).add(row.target)
    if not arms:
        return otherwise
    whens = " ".join(f"WHEN {state} IN ({literals(targets)}) THEN {sql}" for sql, targets in arms.items())
    return f"CASE {whens} ELSE {otherwise} END"
