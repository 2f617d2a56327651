"""What the routes of every edge read from a request: the id of a job, a queue that the caller may use, an integer."""

from typing import Final
from uuid import UUID

from pydantic import BeforeValidator

from app.domain.errors import ForbiddenError, NotFoundError
from app.domain.ids import parse_id
from app.domain.principal import Principal


def _whole(value: object) -> object:
    return int(value) if type(value) is float and value.is_integer() else value


WHOLE: Final = BeforeValidator(_whole)
"""Takes `30.0` for an integer, as JSON Schema does: some languages write a computed one so. It stands behind the
bounds, which are those of the integer.
"""


def job_id_of(text: str) -> UUID:
    """Read an id from a path."""
    job_id = parse_id(text)
    if job_id is None:
        raise NotFoundError("There is no such job.")
    return job_id


def check_queue(caller: Principal, queue: str) -> None:
    """Refuse a queue that the key is not limited to."""
    if caller.queues is not None and queue not in caller.queues:
        raise ForbiddenError("The key may not use this queue.")


def is_collection(text: str) -> bool:
    """Whether a step of a path can name a collection: clients would take `.` and `..` out of the path."""
    return text not in {".", ".."} and text.isprintable()
