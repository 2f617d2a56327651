"""A job like another one, with what a form changes; checked by the API's rules for new jobs."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import to_json

from app.domain.errors import InvalidError, JobtrackError, MalformedError, TooLargeError
from app.domain.field_error import FieldError
from app.domain.ids import new_id
from app.domain.job import Job, NewJob
from app.domain.json_text import JsonText
from app.domain.names import name_fault, queue_name_fault
from app.web.body import JSON_BODY, parse

MOST_NAME: Final = 255


def changed_job(job: Job, fields: Mapping[str, str], *, same_payload: bool = False) -> NewJob:
    """Return the job to create; raises InvalidError with the fields that are wrong. Files and input do not go along."""
    faults: list[FieldError] = []

    def check(name: str, fault: Callable[[str], str | None]) -> None:
        text = fields[name]
        wrong = f"This takes 1 to {MOST_NAME} characters." if not 1 <= len(text) <= MOST_NAME else fault(text)
        if wrong is not None:
            faults.append(FieldError(f"/{name}", "invalid", wrong))

    # Names of before the rules go on: what is not changed is not judged.
    check("type", lambda name: None if name == job.type else name_fault(name))
    check("queue", lambda name: None if name == job.queue else queue_name_fault(name))
    payload: Any = job.documents.payload if same_payload and job.documents is not None else None
    if not same_payload and fields["payload"]:
        try:
            payload = _document(fields["payload"])
        except JobtrackError as error:
            faults.append(FieldError("/payload", error.code, error.message.replace("The body", "The payload")))
    if faults:
        raise InvalidError(faults)
    return NewJob(
        id=new_id(),
        type=fields["type"],
        queue=fields["queue"],
        engine=job.engine,
        collection=job.collection,
        payload=payload,
        priority=job.priority,
        max_attempts=job.max_attempts,
        retry=job.retry,
        labels=dict(job.labels),
    )


def _document(text: str) -> JsonText | None:
    """Read JSON within the bounds of a body; null is no payload."""
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > JSON_BODY.max_bytes:
        raise TooLargeError(f"The payload is longer than {JSON_BODY.max_bytes} bytes.")
    try:
        value = parse(body, JSON_BODY)
    except MalformedError as error:
        raise InvalidError(_place_of_fault(text) or error.message) from None
    return None if value is None else JsonText(to_json(value).decode())


def _place_of_fault(text: str) -> str | None:
    """Return where a text is no JSON, which our own parser does not tell."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"The payload is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
    except RecursionError:
        return None
    return None
