"""New jobs as JSON text."""

from collections.abc import Collection
from typing import Any

from pydantic_core import to_json

from app.api.job_texts import JobTexts
from app.api.jobs.translate import created_document
from app.domain.job import Created, Job
from app.domain.json_text import JsonText


class CreatedTexts:
    """Writes `created_document` of one job after the other."""

    def __init__(self, shown: Collection[str]) -> None:
        self._shown = shown
        self._texts = JobTexts(self._document)

    def write(self, created: Created) -> bytes:
        """Write a job. One with a lease is written alone, and so is a repeated one that has a result by now."""
        job, documents = created.job, created.job.documents
        if created.lease is not None or documents is None or "payload" not in self._shown:
            return self._alone(created)
        if documents.result is not None or documents.billing is not None:
            return self._alone(created)
        before, between, after = self._texts.around(job)
        payload = documents.payload
        text = payload.text.encode() if isinstance(payload, JsonText) else to_json(payload)
        return b"".join((before, str(job.id).encode(), between, text, after))

    def _document(self, job: Job) -> dict[str, Any]:
        return created_document(Created(job), self._shown)

    def _alone(self, created: Created) -> bytes:
        return to_json(created_document(created, self._shown))
