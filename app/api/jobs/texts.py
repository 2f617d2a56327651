"""New jobs as JSON text: what jobs of a batch have in common is written once."""

from collections.abc import Callable, Collection
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from app.api.jobs.translate import created_document
from app.domain.item import Counts
from app.domain.job import Created, Job
from app.domain.json_text import JsonText

_OWN: Final = frozenset({"id", "project_id", "documents", "counts", "retry"})
"""Fields of a job that are its own alone, that a document does not have, or that `_COUNTS` compares faster."""
_COUNTS: Final = tuple(f"counts.{field.name}" for field in fields(Counts))
_common: Final[Callable[[Job], tuple[Any, ...]]] = attrgetter(
    *(field.name for field in fields(Job) if field.name not in _OWN), *_COUNTS
)
_ID: Final = UUID(int=0)
_PAYLOAD: Final = b'"payload":null'


class CreatedTexts:
    """Writes `created_document` of one job after the other.

    A document takes 9 microseconds, and those of a batch differ by little: where all but the id and the payload is as
    in the job before, the text around the two is that job's. It comes from the document itself, so that the fields are
    listed once.
    """

    def __init__(self, shown: Collection[str]) -> None:
        self._shown = shown
        self._previous: object = None
        self._parts = (b"", b"", b"")

    def write(self, created: Created) -> bytes:
        """Write a job. One with a lease is written alone, and so is a repeated one that has a result by now."""
        job, documents = created.job, created.job.documents
        if created.lease is not None or documents is None or "payload" not in self._shown:
            return self._alone(created)
        if documents.result is not None or documents.billing is not None:
            return self._alone(created)
        # In a dictionary order makes no difference, in a text it does.
        common = (_common(job), *job.labels)
        if common != self._previous:
            self._parts = self._around(created)
            self._previous = common
        before, between, after = self._parts
        payload = documents.payload
        text = payload.text.encode() if isinstance(payload, JsonText) else to_json(payload)
        return b"".join((before, str(job.id).encode(), between, text, after))

    def _alone(self, created: Created) -> bytes:
        return to_json(created_document(created, self._shown))

    def _around(self, created: Created) -> tuple[bytes, bytes, bytes]:
        """Return the text before the id, between it and the payload, and after that."""
        text = self._alone(replace(created, job=replace(created.job, id=_ID, documents=None)))
        before, _, rest = text.partition(str(_ID).encode())
        # Within a string its quotes would be escaped, and the job's own payload stands behind all other values.
        between, _, after = rest.rpartition(_PAYLOAD)
        return before, between + _PAYLOAD.removesuffix(b"null"), after
