"""When something ends that a form sets: after a length of time, or at a time that the page's script writes in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from app.dashboard.forms import text_of
from app.domain import times
from app.domain.errors import InvalidError
from app.domain.field_error import FieldError

AT: Final = "at"
"""The choice of a time, which is in a field of its own."""
MOST_SECONDS: Final = 10 * 366 * 86_400
_MILLISECOND: Final = 1_000


def end_of(form: Mapping[str, list[str]]) -> datetime | None:
    """Read the fields `for`, a number of seconds or `at`, and `at`; None if nothing is chosen, which is no end."""
    chosen = text_of(form, "for")
    if chosen == AT:
        return _moment(text_of(form, AT))
    if not chosen:
        return None
    if not (chosen.isascii() and chosen.isdigit()) or len(chosen) > 9 or not 0 < int(chosen) <= MOST_SECONDS:
        raise _fault("for", "Choose one of the lengths.")
    # By the clock of the service, as on the command line: a person's hour is not exact.
    return _as_shown(datetime.now(UTC) + timedelta(seconds=int(chosen)))


def is_past(moment: datetime | None) -> bool:
    """Whether a time has passed as a page is written."""
    return moment is not None and moment <= datetime.now(UTC)


def _moment(text: str) -> datetime:
    if not text:
        raise _fault(AT, "Choose a day and a time.")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise _fault(AT, "This is not a time.") from None
    if found.tzinfo is None:
        # The page's script did not run: nobody knows the reader's zone.
        raise _fault(AT, "This time has no zone: choose a length instead.")
    if not times.FIRST <= found < times.END:
        raise _fault(AT, "This time is out of range.")
    if is_past(found):
        raise _fault(AT, "This time has passed.")
    return _as_shown(found.astimezone(UTC))


def _as_shown(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // _MILLISECOND * _MILLISECOND)


def _fault(field: str, sentence: str) -> InvalidError:
    return InvalidError([FieldError(f"/{field}", "invalid", sentence)])
