"""The record of changes: a log line for each change of a key, a queue or a project, and each call about many jobs.

The one way in is `record`, within the transaction that makes the change: what was rolled back, or tried in vain, leaves
no line, and a caller who has left does. Only where the answer to a COMMIT was lost is a change unrecorded.
"""

from collections.abc import Mapping
from functools import partial

import structlog

from app.db.connection import Connection
from app.domain.audit import Action, Actor, Entry, described, differences
from app.domain.job_filter import JobFilter
from app.domain.principal import Project, StoredKey
from app.domain.queue import Queue

log = structlog.get_logger(__name__)


def record(connection: Connection, entry: Entry) -> None:
    """Record a change in its transaction; its line is written when that has committed."""
    connection.on_commit(partial(write_line, entry))


def write_line(entry: Entry) -> None:
    """Write a change's line at once: for what is done in several transactions, each committed by now."""
    actor = entry.actor
    key = None if actor is None else actor.principal
    log.info(
        "changed",
        action=entry.action.value,
        project_id=str(entry.project_id),
        target=entry.target,
        changes=entry.changes,
        by_key_id=key and key.key_id,
        by_key_name=key and key.name,
        by_project_id=key and str(key.project_id),
        address=actor and actor.address,
        request_id=actor and actor.request_id,
    )


def key_changed(action: Action, actor: Actor | None, before: StoredKey | None, after: StoredKey) -> Entry:
    """Describe a change of a key."""
    changes = differences(before, after)
    # What the entry names anyway, or what using the key changes and not the actor.
    changes = {name: change for name, change in changes.items() if name not in {"project_id", "id", "last_used_at"}}
    return Entry(action=action, actor=actor, project_id=after.project_id, target=after.id, changes=changes)


def code_made(actor: Actor) -> Entry:
    """Describe a one-time code that signs a browser in with the actor's key."""
    key = actor.principal
    return Entry(
        action=Action.SESSIONS_CREATE_CODE, actor=actor, project_id=key.project_id, target=key.key_id, changes={}
    )


def project_made(actor: Actor | None, project: Project) -> Entry:
    """Describe a new project."""
    changes = {"name": {"old": None, "new": project.name}}
    return Entry(
        action=Action.PROJECTS_CREATE, actor=actor, project_id=project.id, target=str(project.id), changes=changes
    )


def queue_changed(action: Action, actor: Actor, before: Queue | None, after: Queue | None) -> Entry:
    """Describe a change of a queue, one of which may be None: that it was not there."""
    queue = after or before
    return Entry(
        action=action,
        actor=actor,
        project_id=actor.principal.project_id,
        target="" if queue is None else queue.name,
        changes=differences(before and before.rules, after and after.rules),
    )


def jobs_changed(action: Action, actor: Actor, job_filter: JobFilter, counts: Mapping[str, int]) -> Entry:
    """Describe a call about all jobs that a filter matches."""
    return Entry(
        action=action,
        actor=actor,
        project_id=actor.principal.project_id,
        target={name: condition for name, condition in described(job_filter).items() if condition},
        changes=dict(counts),
    )
