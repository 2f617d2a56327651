"""The SQL of a move, made of the lifecycle's table: what is decided, what is written, what becomes of the run.

One builder for two forms, which differ in how a job is found. A *locked* one is read: the caller's transaction has
locked it in a statement before. *At once* the statement locks it, and its run: of a row that changed after the
statement began, the newest version is judged by the same conditions, and what others hold is left out.
"""

from typing import Final

from app.db.jobs import REQUESTED, RUN
from app.db.lifecycle_sql import accepted, by_effect, changes, target
from app.db.lookups import target_by_key
from app.db.statement import literals
from app.domain.job import CANCEL_GRACE_SECONDS
from app.domain.states import LEASED, TERMINAL, Due, Effects, JobEvent, rows_for

_TERMINAL: Final = f"d.target IN ({literals(TERMINAL)})"
_BACKOFF: Final = """coalesce(d.retry_after_seconds, d.jitter * CASE
    WHEN (j.attempt - 1) * ln(j.retry_factor) > 40 THEN j.retry_max_delay_seconds
    ELSE least(j.retry_max_delay_seconds, j.retry_delay_seconds * power(j.retry_factor, j.attempt - 1)) END)"""
_DUE_SQL: Final = {
    Due.NOW: "statement_timestamp()",
    Due.AFTER_BACKOFF: f"statement_timestamp() + {_BACKOFF} * interval '1 second'",
}
_GRACE: Final = f"coalesce(r.lease_ends_at, statement_timestamp() + interval '{CANCEL_GRACE_SECONDS} seconds')"
_COUNTS: Final = ("items_processed", "items_failed", "items_skipped")
_OF_RUN: Final = (
    *("version", "stage", "progress", "message", "items_count", "declared_total", *_COUNTS, "updated_at"),
)
"""Columns of a run that a move reads: an ended job takes them over, and who moves it is shown them."""
_OF_JOB: Final = ("state", "attempt", "max_attempts", "worker", "items_failed")
"""Columns of a job that decide where an event leads. No column of a `Move` has their names."""
LOCKED_JOBS: Final = f"""
    FROM :rows JOIN jobs j ON {target_by_key("j", project_id="i.project_id", id="i.job_id")}
    WHERE %s ORDER BY j.id FOR NO KEY UPDATE OF j SKIP LOCKED
"""
"""Jobs that a batch names and that a condition holds of, locked by the statement itself."""


def decided_ctes(event: JobEvent, *, at_once: bool) -> str:
    """Write the CTEs up to `decided`: the moves that the lifecycle accepts, where each leads, and the run it leaves."""
    decided = f"""
        SELECT i.*, j.state AS source, {target(event)} AS target, j.worker AS held_by, j.attempt AS attempt_was,
               {", ".join(f"r.{column} AS run_{column}" for column in _OF_RUN)}
    """
    if not at_once:
        return f"""decided AS MATERIALIZED (
            {decided} FROM {REQUESTED} LEFT JOIN {RUN} ON true WHERE {accepted(event)}
        )"""
    # The run in a second step, which is all the same to the planner: a join of the two tables could be a walk of both.
    # Whoever writes a run has locked its job, so nobody changes it any more; it may only be newer than it is seen.
    return f"""
        held AS MATERIALIZED (
            SELECT i.*, {", ".join(f"j.{column}" for column in _OF_JOB)} {LOCKED_JOBS % accepted(event)}
        ), decided AS MATERIALIZED (
            {decided} FROM held j CROSS JOIN LATERAL (SELECT j.*) i
            JOIN runs r ON {target_by_key("r", project_id="j.project_id", job_id="j.job_id")}
            FOR NO KEY UPDATE OF r SKIP LOCKED
        )
    """


def may_end(event: JobEvent) -> bool:
    """Whether the lifecycle has a step from this event to an end."""
    return any(row.target in TERMINAL for row in rows_for(event))


def always_ends(event: JobEvent) -> bool:
    """Whether every step of this event is one to an end."""
    return all(row.target in TERMINAL for row in rows_for(event))


def _at_end(event: JobEvent, then: str, otherwise: str) -> str:
    """Write an expression for events that end a job; of one that always or never does, no CASE is left."""
    if not may_end(event):
        return otherwise
    return then if always_ends(event) else f"CASE WHEN {_TERMINAL} THEN {then} ELSE {otherwise} END"


_RETURNED: Final = f"""
    j.*, d.source, d.attempt_was, d.held_by, coalesce(d.reason, d.error_code) AS reason,
    {", ".join(f"d.run_{column}" for column in _OF_RUN)}
"""


def moved_sql(event: JobEvent, returning: str = _RETURNED) -> str:
    """Write the UPDATE of the jobs in `decided`."""

    def when(effect: str, then: str, otherwise: str) -> str:
        return by_effect(event, lambda effects: then if getattr(effects, effect) else None, otherwise)

    def due(effects: Effects) -> str | None:
        return None if effects.due is None else _DUE_SQL[effects.due]

    def kept(column: str, of_run: str) -> str:
        return _at_end(event, of_run, f"j.{column}")

    written = {
        "state": "d.target",
        "version": f"j.version + 1 + {_at_end(event, 'coalesce(d.run_version, 0)', '0')}",
        "token": when("spends_token", "NULL", "j.token"),
        "worker": when("spends_token", "NULL", "j.worker"),
        "final_call": _at_end(event, "d.final_call", "NULL"),
        "attempt": when("returns_attempt", "j.attempt - 1", "j.attempt"),
        "scheduled_at": by_effect(event, due, "j.scheduled_at"),
        "error_code": when("clears_error", "NULL", "coalesce(d.error_code, j.error_code)"),
        "error_message": when("clears_error", "NULL", "coalesce(d.error_message, j.error_message)"),
        "stage": kept("stage", "coalesce(d.run_stage, j.stage)"),
        "message": kept("message", "coalesce(d.run_message, j.message)"),
        "progress": when("finishes", "100", kept("progress", "coalesce(d.run_progress, j.progress)")),
        "items_total": kept(
            "items_total", "coalesce(greatest(d.run_items_count, d.run_declared_total), j.items_total)"
        ),
        **{name: kept(name, f"coalesce(d.run_{name}, 0)") for name in _COUNTS},
        "cancelled_at": when("stamps_cancel", "statement_timestamp()", "j.cancelled_at"),
        "cancelled_by": when("stamps_cancel", "d.cancelled_by", "j.cancelled_by"),
        "completed_at": _at_end(event, "statement_timestamp()", "NULL"),
        "status_changed_at": "statement_timestamp()",
        "updated_at": "statement_timestamp()",
    }
    assigned = ", ".join(f"{column} = {sql}" for column, sql in written.items() if sql != f"j.{column}")
    return f"""
        UPDATE jobs j SET {assigned}
        FROM decided d
        WHERE {target_by_key("j", project_id="d.project_id", id="d.job_id")} AND ({changes(event)})
        RETURNING {returning}
    """


def history_sql(event: JobEvent) -> str:
    """Write the INSERT of what happened, into the history of each moved job."""
    recorded = by_effect(
        event,
        lambda effects: effects.recorded_as and f"'job.{effects.recorded_as}'",
        "'job.' || m.state",
        state="m.state",
    )
    return f"""
        INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
        SELECT m.project_id, m.id, {recorded}, statement_timestamp(), m.attempt_was, m.held_by, m.source, m.state,
               CASE WHEN m.reason IS NOT NULL THEN json_build_object('reason', m.reason) END
        FROM moved m
    """


def kept_run_sql(event: JobEvent) -> str:
    """Write the UPDATE of the runs of jobs that are still live."""
    lease_end = by_effect(
        event, lambda effects: _GRACE if effects.grants_grace else None, "r.lease_ends_at", state="d.state"
    )
    return f"""
        UPDATE runs r SET lease_ends_at = CASE WHEN d.state IN ({literals(LEASED)}) THEN {lease_end} END,
            eta_seconds = NULL, eta_low_seconds = NULL, eta_high_seconds = NULL, samples = '{{}}'
        FROM moved d
        WHERE {target_by_key("r", project_id="d.project_id", job_id="d.id")} AND d.state NOT IN ({literals(TERMINAL)})
    """


def deleted_sql(table: str) -> str:
    """Write the DELETE of what only live jobs have."""
    return f"""
        DELETE FROM {table} t USING moved d
        WHERE {target_by_key("t", project_id="d.project_id", job_id="d.id")} AND d.state IN ({literals(TERMINAL)})
    """


RUN_OF_MOVED: Final = f"""LATERAL (
    SELECT {", ".join(f"j.run_{column} AS {column}" for column in _OF_RUN)} WHERE j.state NOT IN ({literals(TERMINAL)})
) r"""
"""The run of a moved job `j`, as `r`. That of a job that has ended is gone, and its row says all. Another stands as it
was before the move, which changes nothing of it that a reader sees but the estimate.
"""


def results_sql() -> str:
    """Write the INSERT of the results that come with the moves."""
    return """
        INSERT INTO results (project_id, job_id, result, billing)
        SELECT d.project_id, d.job_id, CAST(d.result AS json), CAST(d.billing AS json)
        FROM decided d WHERE d.result IS NOT NULL OR d.billing IS NOT NULL
    """
