"""The outcomes of worker calls as JSON text."""

from pydantic_core import to_json

from app.api.job_texts import JobTexts
from app.api.translate import job_document
from app.api.workers.translate import outcome_document
from app.domain.worker_call import Ended, Reported


class OutcomeTexts:
    """Writes `outcome_document` of one call after the other. Reports of a batch have few different answers."""

    def __init__(self) -> None:
        self._reported: dict[tuple[str, float | None], bytes] = {}
        self._jobs = JobTexts(job_document)

    def write(self, outcome: Reported | Ended) -> bytes:
        """Write an outcome."""
        if isinstance(outcome, Ended):
            before, after, _ = self._jobs.around(outcome.job)
            return b"".join((before, str(outcome.job.id).encode(), after))
        # Not by the lease, which has a token of its own.
        key = (outcome.state.value, outcome.lease.expires_in_seconds)
        text = self._reported.get(key)
        if text is None:
            text = self._reported[key] = to_json(outcome_document(outcome))
        return text
