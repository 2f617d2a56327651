"""What a key limited to some queues may do, decided for every operation of every API."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import uuid4

from app.dialects.captain.index_wire import BODIES
from app.domain.principal import Scope


class Decision(Enum):
    """What an operation does for a key that is limited to other queues."""

    REFUSED = "403, and nothing has changed"
    LEFT_OUT = "what is of other queues is left out, and nothing of it has changed"
    FENCED = "a lease token decides, which a claim or a creation has handed out that was checked"
    READ = "the answer that any key of the project gets"
    NO_QUEUE = "it names no queue, and nothing of one"


REFUSED, LEFT_OUT, FENCED, READ, NO_QUEUE = Decision


@dataclass
class Target:
    """What an operation is tried on: a queue of its own, with a job in it, and a key for that queue alone."""

    queue: str
    key_id: str
    job_id: str

    @property
    def labels(self) -> dict[str, str]:
        """A label that only this job has."""
        return {"of": self.queue}


@dataclass(frozen=True)
class Row:
    """One way to call an operation, and what becomes of it."""

    operation: str
    decision: Decision
    variant: str = ""
    body: Callable[[Target], Any] | None = None
    sends: dict[str, Any] = field(default_factory=dict)
    ended: bool = False
    """Whether the job has ended before."""
    queue: str | None = None
    """The queue that the operation is about, where it is not of the caller's choice."""
    needs: Scope | None = None
    """A scope that this variant asks for beyond the operation's own."""
    allowed: int | None = 200
    """What a key of the right queue gets; None: nobody limited to queues may do it."""
    changes: bool = True
    """Whether it changes something then."""

    def __str__(self) -> str:
        return f"{self.operation} {self.variant}".strip()


def refused(operation: str, body: Callable[[Target], Any] | None = None, **more: Any) -> Row:
    return Row(operation, REFUSED, body=body, **more)


def captain(source: str) -> Row:
    fields = {name: "x" for name, known in BODIES[source].model_fields.items() if known.is_required()}
    return refused(f"captain_index_{source.replace('/', '_')}", lambda _: fields or {"url": "x"}, queue="default")


TOKEN = str(uuid4())
FORGED: dict[str, Any] = {"token": TOKEN}

ROWS = (
    refused("jobs_create", lambda t: {"type": "t", "queue": t.queue}, allowed=201),
    refused(
        "jobs_create",
        lambda t: {"type": "t", "queue": t.queue, "claim": {"worker": "w"}},
        variant="claimed",
        needs=Scope.WORK,
        allowed=201,
    ),
    Row("jobs_create_batch", LEFT_OUT, body=lambda t: {"jobs": [{"type": "t", "queue": t.queue}]}),
    refused("jobs_cancel"),
    refused("jobs_rerun", ended=True, allowed=201),
    refused("jobs_delete", ended=True, allowed=204),
    refused("jobs_put_input", sends={"content": b"another input"}),
    refused("jobs_get_input", needs=Scope.SUBMIT, changes=False),
    Row("jobs_get_input", FENCED, "under a lease", sends={"headers": {"Lease-Token": TOKEN}}),
    refused("jobs_cancel_many", lambda t: {"queue": [t.queue]}),
    Row("jobs_cancel_many", LEFT_OUT, "of any queue", body=lambda t: {"labels": t.labels}),
    refused("jobs_rerun_many", lambda t: {"queue": [t.queue]}, ended=True),
    Row("jobs_rerun_many", LEFT_OUT, "of any queue", body=lambda t: {"labels": t.labels}, ended=True),
    refused("claims_create", lambda t: {"worker": "w", "queues": [t.queue]}),
    refused("claims_create", lambda t: {"worker": "w", "queues": ["elsewhere", t.queue]}, variant="two", allowed=None),
    Row("claims_create", LEFT_OUT, "of any queue", body=lambda t: {"worker": "w", "types": [f"type of {t.queue}"]}),
    Row("claims_create", LEFT_OUT, "by id", body=lambda t: {"worker": "w", "job_ids": [t.job_id]}),
    Row("jobs_report", FENCED, body=lambda _: FORGED),
    Row("jobs_complete", FENCED, body=lambda _: FORGED),
    Row("jobs_fail", FENCED, body=lambda _: {**FORGED, "code": "c", "message": "m"}),
    Row("jobs_release", FENCED, body=lambda _: FORGED),
    Row(
        "reports_create",
        FENCED,
        body=lambda t: {"reports": [{"job_id": t.job_id, "action": "complete", "token": TOKEN}]},
    ),
    refused("queues_put", lambda _: {"paused": True, "concurrency_limit": 1, "retention": {"seconds": 60}}),
    refused("queues_put", lambda _: {}, variant="a new one", queue="new"),
    refused("queues_pause"),
    refused("queues_resume"),
    refused("queues_delete", ended=True, allowed=204),
    refused("keys_create", lambda t: {"name": "n", "scopes": ["read"], "queues": [t.queue]}, allowed=201),
    refused(
        "keys_create",
        lambda t: {"name": "n", "scopes": ["read"], "queues": ["elsewhere", t.queue]},
        variant="two",
        allowed=None,
    ),
    refused("keys_create", lambda _: {"name": "n", "scopes": ["read"]}, variant="of any queue", allowed=None),
    refused("keys_set_expiry", lambda _: {"expires_at": "2999-01-01T00:00:00Z"}),
    refused("keys_revoke", allowed=204),
    *map(captain, BODIES),
    refused("captain_index_file", sends={"files": {"file": ("a.txt", b"text")}}, queue="default"),
    refused("captain_jobs_cancel"),
    refused("captain_jobs_delete"),
    refused("docent_agent_runs_create", sends={"content": b"{}"}, queue="default", allowed=202),
    refused("fifthelement_jobs_rerun", ended=True),
    refused("fifthelement_v1_api_jobs_rerun", ended=True),
    refused(
        "llamacloud_batch_create",
        lambda _: {"job_config": {"job_name": "parse_raw_file_job"}, "item_ids": ["a.pdf"]},
        queue="default",
        allowed=201,
    ),
    refused("llamacloud_batch_cancel"),
    *(
        Row(operation, READ)
        for operation in (
            "jobs_get",
            "jobs_list",
            "jobs_events",
            "jobs_logs",
            "jobs_stream",
            "jobs_waiting",
            "workers_list",
            "items_list",
            "items_list_errors",
            "events_stream",
            "queues_list",
            "queues_get",
            "keys_list",
            "keys_get",
            "captain_jobs_list",
            "captain_jobs_get_status",
            "docent_agent_run_jobs_list",
            "docent_agent_run_jobs_get",
            "fifthelement_jobs_get",
            "fifthelement_v1_api_jobs_get",
            "llamacloud_batch_list",
            "llamacloud_batch_get_status",
            "llamacloud_batch_items_list",
            "llamacloud_batch_items_get_processing_results",
        )
    ),
    Row("jobs_wait", READ, body=lambda t: {"ids": [t.job_id]}),
    Row("immuta_jobs_statuses", READ, body=lambda t: {"jobIds": [t.job_id], "wait": 0, "pollInterval": 1}),
    Row("docent_agent_run_jobs_batch_status", READ, body=lambda t: {"job_ids": [t.job_id]}),
    *(
        Row(operation, NO_QUEUE)
        for operation in (
            # A project is made of no queues; the keys that such a key makes in it are limited as it is itself.
            "projects_create",
            "projects_list",
            "projects_get",
            # A code is for the key itself.
            "sessions_create_code",
            "livez",
            "readyz",
            "metrics",
            "docent_api_keys_test",
            "docent_collections_create",
            "immuta_apikey_authenticate",
        )
    ),
)
