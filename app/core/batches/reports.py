"""A batch of reports within a transaction: admit by the fence, write the items, then the run with its new counts and
estimate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from app.core.batches.places import take_places
from app.db import events, items, logs, reports, transitions
from app.db.connection import Connection
from app.db.events import NewEvent
from app.db.items import CountChange, ItemRow
from app.db.limits import QueueRef
from app.db.logs import NumberedLine
from app.db.reports import Admitted, Checkpoint, HeldToken, RunUpdate, array_text
from app.db.transitions import Move
from app.domain.errors import QueueFullError
from app.domain.estimate import eta_of, keep_samples, progress_of
from app.domain.item import Counts, ItemStatus, ItemUpdate
from app.domain.job import Lease
from app.domain.states import LEASED, JobEvent
from app.domain.worker_call import Report, Reported
from app.live.change_feed import Change
from app.live.group_writer import Deferred

PROGRESS_STEP = 5.0
"""A progressed event is written when the stage changes and every 5 percent, not at every report."""


async def apply_reports(
    connection: Connection, batch: Sequence[Report]
) -> tuple[dict[UUID, Reported | Deferred], list[Change]]:
    """Write reports of different, locked jobs; returns the answers to those that the fence admits, by job, and which
    are deferred because their queue is locked.
    """
    runs = await reports.admit(
        connection, [HeldToken(report.project_id, report.job_id, report.token) for report in batch]
    )
    without_place = await _take_places(connection, batch, runs)
    answers: dict[UUID, Reported | Deferred] = {
        job_id: Deferred.BUSY for job_id, reason in without_place.items() if reason is Deferred.BUSY
    }
    admitted = [report for report in batch if report.job_id in runs and report.job_id not in without_place]
    if not admitted:
        return answers, []
    changed = await _write_items(connection, admitted, runs)
    updates = {report.job_id: _updated(report, runs[report.job_id], changed.get(report.job_id)) for report in admitted}
    starting = [
        Move(project_id=report.project_id, job_id=report.job_id, token=report.token)
        for report in admitted
        if runs[report.job_id].target is not runs[report.job_id].source
    ]
    if starting:
        await transitions.move(connection, JobEvent.REPORT, starting)
    left = await reports.record(connection, list(updates.values()))
    await _write_rest(connection, admitted, runs, updates)
    answers |= {
        report.job_id: Reported(runs[report.job_id].target, Lease(report.token, left[report.job_id]))
        for report in admitted
    }
    started = {move.job_id for move in starting}
    changes = [
        Change(report.job_ref, event_types=("started",) if report.job_id in started else ())
        for report in admitted
        if not report.bare or report.job_id in started
    ]
    return answers, changes


async def _take_places(
    connection: Connection, batch: Sequence[Report], runs: Mapping[UUID, Admitted]
) -> dict[UUID, QueueFullError | Deferred]:
    """Take a place for each job whose lease had run out: another may have its place by now. Returns those without."""
    late = [report for report in batch if report.job_id in runs and runs[report.job_id].source not in LEASED]
    if not late:
        return {}
    queues = [QueueRef(report.project_id, runs[report.job_id].queue) for report in late]
    refusals = await take_places(connection, queues)
    return {report.job_id: refusal for report, refusal in zip(late, refusals, strict=True) if refusal is not None}


def merge_updates(updates: Sequence[ItemUpdate]) -> list[ItemUpdate]:
    """Merge the updates of each item into one: a later value wins, a field that it leaves out keeps the earlier one."""
    merged: dict[str, ItemUpdate] = {}
    for update in updates:
        before = merged.get(update.key)
        if before is None:
            merged[update.key] = update
            continue
        values = {name: getattr(update, name) for name in update.__slots__ if getattr(update, name) is not None}
        # As in the statement that writes them: a new status clears why the item had failed or was skipped before.
        if update.status not in (None, ItemStatus.FAILED):
            values = {"error_code": None, "error_message": None} | values
        if update.status not in (None, ItemStatus.SKIPPED):
            values = {"skip_reason": None} | values
        merged[update.key] = replace(before, **values)
    return list(merged.values())


async def _write_items(
    connection: Connection, admitted: Sequence[Report], runs: Mapping[UUID, Admitted]
) -> dict[UUID, CountChange]:
    rows = [
        ItemRow(
            project_id=report.project_id,
            job_id=report.job_id,
            base=runs[report.job_id].items_count,
            key=update.key,
            status=update.status,
            name=update.name,
            uri=update.uri,
            stage=update.stage,
            message=update.message,
            error_code=update.error_code,
            error_message=update.error_message,
            skip_reason=update.skip_reason,
            size_bytes=update.size_bytes,
            result=update.result,
        )
        for report in admitted
        for update in merge_updates(report.items)
    ]
    return await items.apply_updates(connection, rows) if rows else {}


def _updated(report: Report, run: Admitted, change: CountChange | None) -> RunUpdate:
    """Work out the run after a report. The row is locked, so what was read is what is overwritten."""
    change = change or CountChange(report.job_id)
    items_count = run.items_count + change.added
    declared = run.declared_total if report.items_total is None else report.items_total
    counts = Counts(
        max(items_count, declared or 0),
        run.counts.processed + change.processed,
        run.counts.failed + change.failed,
        run.counts.skipped + change.skipped,
    )
    counted = bool(report.items) or report.items_total is not None
    progress = progress_of(report.progress, counts if counted else Counts(), run.progress)
    samples = keep_samples(run.samples, run.now, progress)
    return RunUpdate(
        project_id=report.project_id,
        job_id=report.job_id,
        token=report.token,
        lease_seconds=run.lease_seconds if report.lease_seconds is None else report.lease_seconds,
        bare=report.bare,
        stage=run.stage if report.stage is None else report.stage,
        progress=progress,
        message=report.message,
        declared_total=declared,
        items_count=items_count,
        counts=counts,
        eta=eta_of(samples),
        samples=array_text(samples),
        log_lines=run.log_lines + len(report.logs),
    )


async def _write_rest(
    connection: Connection,
    admitted: Sequence[Report],
    runs: Mapping[UUID, Admitted],
    updates: Mapping[UUID, RunUpdate],
) -> None:
    """Write what only some reports have: events, log lines, checkpoints."""
    progressed = [
        NewEvent(
            project_id=report.project_id,
            job_id=report.job_id,
            type="job.progressed",
            attempt=run.attempt,
            worker=run.worker,
            source=run.source,
            target=run.target,
            data={"stage": update.stage, "progress": update.progress},
        )
        for report in admitted
        if _is_worth_an_event(run := runs[report.job_id], update := updates[report.job_id])
    ]
    if progressed:
        await events.insert(connection, progressed)
    lines = [
        NumberedLine(report.project_id, report.job_id, run.log_lines + n, run.attempt, line.level, line.message)
        for report in admitted
        for run in (runs[report.job_id],)
        for n, line in enumerate(report.logs)
    ]
    if lines:
        await logs.insert(connection, lines)
    saving = [
        Checkpoint(report.project_id, report.job_id, report.checkpoint)
        for report in admitted
        if report.checkpoint is not None
    ]
    if saving:
        await reports.upsert_checkpoints(connection, saving)


def _is_worth_an_event(run: Admitted, update: RunUpdate) -> bool:
    if run.source is not run.target:
        return True
    return not update.bare and (
        run.stage != update.stage or run.progress // PROGRESS_STEP != update.progress // PROGRESS_STEP
    )
