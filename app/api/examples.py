"""The values that the examples of the native document share, and an example of every answer.

Swagger UI sends an example unchanged at the press of a button. So the examples name a queue and a job type of their
own, ids that nothing has, and a dry run where a call acts on many jobs: whatever is pressed, nobody's jobs are touched.
All of them tell of one job; the page replaces its id and token by those of a job that was really created.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

QUEUE: Final = "example"
TYPE: Final = "example"
WORKER: Final = "example-worker"
JOB_ID: Final = "0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10"
TOKEN: Final = "0192f0c1-3b1d-4c56-8b57-0d4e6f1a2b3c"  # noqa: S105 - an example, of no lease
KEY_ID: Final = "exampleKey00"
PROJECT_ID: Final = "0192f0c1-1a2b-7d4e-8f60-718293a4b5c6"

_EVENT_ID: Final = "AAAAAAAAAyEAAAAAAAAAKg"
_CREATED, _STARTED, _ENDED = (f"2026-01-20T10:00:{seconds}Z" for seconds in ("00.000", "00.120", "42.500"))
_PAYLOAD: Final = {"folder": "/data"}
_RESULT: Final = {"pages": 12}
_ETA: Final = {"seconds": 18.0, "low_seconds": 12.5, "high_seconds": 31.0}
_LEASE: Final = {"token": TOKEN, "expires_in_seconds": 300.0}


def _counts(total: int, processed: int) -> dict[str, int]:
    return {"total": total, "processed": processed, "failed": 0, "skipped": 0}


_PENDING: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "type": TYPE,
    "queue": QUEUE,
    "status": "pending",
    "progress": 0.0,
    "counts": _counts(3, 0),
    "labels": {"team": "search"},
    "priority": 0,
    "attempt": 0,
    "max_attempts": 3,
    "overdue": False,
    "version": 1,
    "created_at": _CREATED,
    "updated_at": _CREATED,
    "status_changed_at": _CREATED,
    "scheduled_at": _CREATED,
}
_DISPATCHED: Final = _PENDING | {
    "status": "dispatched",
    "attempt": 1,
    "worker": WORKER,
    "version": 2,
    "updated_at": _STARTED,
    "status_changed_at": _STARTED,
    "started_at": _STARTED,
}
_RUNNING: Final = _DISPATCHED | {
    "status": "running",
    "stage": "embedding",
    "progress": 66.7,
    "counts": _counts(3, 2),
    "message": "Embedding chunks",
    "eta": _ETA,
    "version": 4,
}
_COMPLETED: Final = _DISPATCHED | {
    "status": "completed",
    "stage": "embedding",
    "progress": 100.0,
    "counts": _counts(3, 3),
    "version": 5,
    "updated_at": _ENDED,
    "status_changed_at": _ENDED,
    "completed_at": _ENDED,
}
_CANCELLED: Final = _PENDING | {
    "status": "cancelled",
    "version": 2,
    "updated_at": _STARTED,
    "status_changed_at": _STARTED,
    "cancelled_at": _STARTED,
    "cancelled_by": "first",
}
_CREATED_JOB: Final = _PENDING | {"payload": _PAYLOAD}
_EVENT: Final = {"job_id": JOB_ID, "attempt": 1, "worker": WORKER, "data": {}}
_ITEM: Final = {
    "id": f"{JOB_ID}.a.pdf",
    "key": "a.pdf",
    "uri": "file:///data/a.pdf",
    "status": "completed",
    "size_bytes": 48213,
    "updated_at": _ENDED,
}
_QUEUE: Final[dict[str, Any]] = {
    "name": QUEUE,
    "paused": False,
    "concurrency_limit": 4,
    "retention": {"seconds": 604_800},
    "depth": {"pending": 1, "dispatched": 0, "running": 1, "retrying": 0, "cancelling": 0},
    "due": 1,
    "scheduled": 0,
    "held": 1,
    "oldest_waiting_seconds": 0.8,
    "rates": {"created_per_minute": 2, "ended_per_minute": 1},
    "created_at": _CREATED,
    "updated_at": _CREATED,
}
_KEY: Final[dict[str, Any]] = {
    "id": KEY_ID,
    "name": "example",
    "project_id": PROJECT_ID,
    "scopes": ["work"],
    "queues": [QUEUE],
    "created_at": _CREATED,
}
_PROJECT: Final = {"id": PROJECT_ID, "name": "example", "created_at": _CREATED}
_OUTCOME: Final = {
    "status": "running",
    "cancel_requested": False,
    "lease": {"expires_in_seconds": 300.0},
}

ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Alive": {"status": "ok"},
    "BulkResult": {"matched": 3, "changed": 0, "busy": 0, "dry_run": True},
    "Claimed": {"jobs": [_DISPATCHED | {"payload": _PAYLOAD, "lease": _LEASE}]},
    "CreateResults": {"results": [{"job": _CREATED_JOB}], "documents_omitted": []},
    "EndedOut": _COMPLETED,
    "EventList": {
        "events": [
            _EVENT | {"id": _EVENT_ID, "type": "job.completed", "at": _ENDED, "from": "running", "to": "completed"}
        ]
    },
    "GroupedErrorsOut": {
        "errors": [{"error_code": "broken_pdf", "count": 2, "first_key": "b.pdf", "message": "The file ends early"}],
        "counted": 2,
        "is_complete": True,
    },
    "InputOut": {
        "content_type": "text/plain",
        "size_bytes": 5,
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    },
    "ItemList": {"items": [_ITEM]},
    "JobCreated": _CREATED_JOB,
    "JobDetail": _COMPLETED | {"payload": _PAYLOAD, "result": _RESULT},
    "JobList": {"jobs": [_RUNNING]},
    "JobSummary": _CANCELLED,
    "KeyList": {"keys": [_KEY]},
    "KeyMade": _KEY | {"key": f"jt_{KEY_ID}_shownOnlyOnce"},
    "KeyOut": _KEY,
    "LogLines": {
        "logs": [{"line": 0, "at": _STARTED, "attempt": 1, "level": "info", "message": "3 files found"}],
        "next_offset": 1,
        "ended": False,
    },
    "Problem": {
        "type": "/docs/problems#invalid",
        "title": "The request is not valid",
        "status": 422,
        "detail": "/priority: Input should be less than or equal to 32767.",
        "code": "invalid",
        "retryable": False,
        "instance": "5d3f0e0c9a7b4c21",
        "errors": [
            {
                "pointer": "/priority",
                "code": "less_than_equal",
                "message": "Input should be less than or equal to 32767",
            }
        ],
    },
    "ProjectList": {"projects": [_PROJECT]},
    "ProjectOut": _PROJECT,
    "QueueList": {"queues": [_QUEUE]},
    "QueueOut": _QUEUE,
    "ReportResults": {"results": [{"job_id": JOB_ID, "outcome": _OUTCOME}]},
    "ReportedOut": _OUTCOME,
    "SessionCode": {
        "code": "vZ1tq0hZbXoGmYH3n3yVdA",
        "path": "/sign-in#vZ1tq0hZbXoGmYH3n3yVdA",
        "expires_in_seconds": 300.0,
    },
    "Waited": {
        "jobs": [_COMPLETED | {"result": _RESULT}],
        "not_found": [],
        "ended_by": "condition",
        "documents_omitted": [],
    },
    "WaitingOut": {
        "reason": "no_worker",
        "since": _CREATED,
        "detail": "No worker has asked for queue example and type example in the last 60 s.",
    },
    "WorkerList": {
        "workers": [
            {
                "name": WORKER,
                "queues": [QUEUE],
                "types": [TYPE],
                "more_queues": False,
                "more_types": False,
                "client": "jobtrack-client/0.1.0",
                "last_asked_at": _STARTED,
                "present": True,
                "held": 1,
            }
        ]
    },
}
"""By the name of a schema. What may be null, and is not here, is null in the document's example."""


def add_answers(schemas: dict[str, Any]) -> None:
    """Add an example to the schema of each answer. It stands at the schema, so that all operations show the same."""
    for name, value in ANSWERS.items():
        schemas[name]["examples"] = [_completed(schemas, schemas[name], value)]


def _completed(schemas: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> Any:
    """Return a value in the order of its schema, with null for each required field that it leaves out."""
    forms = list(_forms(schemas, schema))
    if isinstance(value, list):
        return [_completed(schemas, forms[0]["items"], each) for each in value]
    form = next((form for form in forms if value_fits(form, value)), {})
    if not isinstance(value, Mapping) or "properties" not in form:
        return value
    required = form.get("required", ())
    return {
        name: _completed(schemas, part, value.get(name))
        for name, part in form["properties"].items()
        if name in value or name in required
    }


def value_fits(form: Mapping[str, Any], value: Any) -> bool:
    """Whether an object has no field that a form of its schema does not declare."""
    return isinstance(value, Mapping) and value.keys() <= form.get("properties", {}).keys()


def _forms(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield each form that a schema allows, without references."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" not in schema:
        yield schema
    for form in schema.get("anyOf", ()):
        yield from _forms(schemas, form)
