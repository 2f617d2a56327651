"""A change of many jobs: how far it has come, and the form fields that carry it from step to step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from app.core.batches.bulk import BulkOutcome
from app.dashboard.forms import text_of
from app.domain.errors import InvalidError
from app.domain.idempotency import Idempotency
from app.domain.ids import parse_id

MOST_DIGITS: Final = 9


class ChangeKind(StrEnum):
    """What is done with the jobs."""

    CANCEL = "cancel"
    RERUN = "rerun"


WORDS: Final[Mapping[ChangeKind, Mapping[str, str]]] = {
    ChangeKind.CANCEL: {"do": "Cancel", "doing": "Cancelling", "done": "cancelled", "not": "Cancel nothing"},
    ChangeKind.RERUN: {"do": "Rerun", "doing": "Rerunning", "done": "rerun", "not": "Rerun nothing"},
}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a change of all jobs that match has come, and where the next step begins.

    What is created after the count is newer than the first `before`, and is not touched.
    """

    filter: str
    """With times in place of lengths: the last 24 hours are those of the count."""
    before: UUID
    operation: UUID
    """With `before` it is the key that makes a repeated step harmless."""
    total: int
    is_whole: bool
    """Whether the count came to the end; there are more than `total` otherwise."""
    matched: int = 0
    changed: int = 0
    busy: int = 0
    only_failed: bool = False

    @property
    def left_out(self) -> int:
        """How many matched and were not changed, for another reason than that they were busy."""
        return self.matched - self.changed - self.busy

    @property
    def most(self) -> int:
        """The end of the bar."""
        return max(self.total, self.matched, 1)

    def after(self, outcome: BulkOutcome) -> "Step":
        """Return the step behind one that came to this."""
        return replace(
            self,
            before=outcome.next_before or self.before,
            matched=self.matched + outcome.matched,
            changed=self.changed + outcome.changed,
            busy=self.busy + outcome.busy,
        )

    def key(self, kind: ChangeKind, queues: frozenset[str] | None) -> Idempotency:
        """Return the key of this step, in the scope of what it does."""
        about = repr((self.filter, self.only_failed, None if queues is None else sorted(queues)))
        return Idempotency(f"POST /ui/jobs/{kind}", f"{self.operation} {self.before}", sha256(about.encode()).digest())


def read_step(form: Mapping[str, list[str]]) -> Step:
    """Read the fields that a step left in the dialog; raises InvalidError."""
    before, operation = parse_id(text_of(form, "before")), parse_id(text_of(form, "operation"))
    if before is None or operation is None:
        raise InvalidError("This form is not whole. Close it and begin again.")
    return Step(
        filter=text_of(form, "filter"),
        before=before,
        operation=operation,
        total=_number(form, "total"),
        is_whole=bool(text_of(form, "whole")),
        matched=_number(form, "matched"),
        changed=_number(form, "changed"),
        busy=_number(form, "busy"),
        only_failed=bool(text_of(form, "only_failed")),
    )


def _number(form: Mapping[str, list[str]], name: str) -> int:
    text = text_of(form, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0
