"""A batch of reports within a transaction: admit by the fence, write the items, then the run with its new counts and
estimate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from app.core.batches.places import take_places
from app.db import checkpoints, items, logs, reports
from app.db.checkpoints import Checkpoint
from app.db.connection import Connection
from app.db.items import CountChange, ItemRow
from app.db.limits import QueueRef
from app.db.logs import NumberedLine
from app.db.reports import Admitted, Heartbeat, HeldToken, Recorded, RunUpdate, array_text
from app.domain.errors import QueueFullError
from app.domain.estimate import eta_of, keep_samples, progress_of
from app.domain.item import Counts, ItemStatus, ItemUpdate
from app.domain.job import Lease
from app.domain.states import LEASED
from app.domain.worker_call import Report, Reported
from app.live.change_feed import Change
from app.live.outcomes import Deferred

PROGRESS_STEP = 5.0
"""A progressed event is written when the stage changes and every 5 percent, not at every report."""


async def apply_reports(
    connection: Connection, batch: Sequence[Report]
) -> tuple[dict[UUID, Reported | Deferred], list[Change]]:
    """Write reports of different, locked jobs; returns the answers to those that the fence admits, by job, and which
    are deferred because their queue is locked.
    """
    runs = await reports.admit(connection, [held_token(report) for report in batch])
    without_place = await _take_places(connection, batch, runs)
    admitted = [report for report in batch if report.job_id in runs and report.job_id not in without_place]
    beats = [heartbeat(report) for report in admitted if report.bare]
    recorded = await reports.extend(connection, beats) if beats else []
    telling = [report for report in admitted if not report.bare]
    if telling:
        changed = await _write_items(connection, telling, runs)
        updates = [update_of(report, runs[report.job_id], changed.get(report.job_id)) for report in telling]
        recorded += await reports.record(connection, updates)
        await _write_rest(connection, telling, runs)
    answers, changes = answers_to(admitted, recorded)
    deferred = {job_id: Deferred.BUSY for job_id, reason in without_place.items() if reason is Deferred.BUSY}
    return {**answers, **deferred}, changes


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


def answers_to(batch: Sequence[Report], recorded: Iterable[Recorded]) -> tuple[dict[UUID, Reported], list[Change]]:
    """Return the answers to reports of different jobs that were written, by job, and what to announce of them."""
    written = {record.job_id: record for record in recorded}
    answers: dict[UUID, Reported] = {}
    changes: list[Change] = []
    for report in batch:
        record = written.get(report.job_id)
        if record is None:
            continue
        answers[report.job_id] = Reported(record.target, Lease(report.token, record.lease_left))
        started = record.target is not record.source
        if started or not report.bare:
            changes.append(Change(report.job_ref, event_types=("started",) if started else ()))
    return answers, changes


def held_token(report: Report) -> HeldToken:
    """Return what admits a report."""
    return HeldToken(report.project_id, report.job_id, report.token)


def heartbeat(report: Report) -> Heartbeat:
    """Return what a bare report writes."""
    return Heartbeat(
        project_id=report.project_id,
        job_id=report.job_id,
        token=report.token,
        lease_seconds=report.lease_seconds,
    )


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


def update_of(report: Report, run: Admitted, change: CountChange | None = None) -> RunUpdate:
    """Work out the run after a report, and after the items that it changed."""
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
    stage = run.stage if report.stage is None else report.stage
    return RunUpdate(
        project_id=report.project_id,
        job_id=report.job_id,
        token=report.token,
        seen_version=run.version,
        lease_seconds=report.lease_seconds,
        stage=stage,
        progress=progress,
        message=report.message,
        declared_total=declared,
        items_count=items_count,
        counts=counts,
        eta=eta_of(samples),
        samples=array_text(samples),
        log_lines=run.log_lines + len(report.logs),
        progressed=run.stage != stage or run.progress // PROGRESS_STEP != progress // PROGRESS_STEP,
    )


async def _write_rest(connection: Connection, admitted: Sequence[Report], runs: Mapping[UUID, Admitted]) -> None:
    """Write what only some reports have: log lines and checkpoints."""
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
        await checkpoints.upsert(connection, saving)
