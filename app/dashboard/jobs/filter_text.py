"""The filter of the page of jobs as text: `status:failed queue:docs label:team=search since:24h`, or an id.

What is read is a filter of the domain, the same that the API's parameters make; what is written reads as that filter
again. Words are separated by blanks. Quotation marks keep blanks, colons and equals signs together, and a backslash
within them the mark itself: `type:"nightly etl" label:"a=b"=c`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Final, TypeAlias
from uuid import UUID

from app.domain import times
from app.domain.errors import InvalidError
from app.domain.ids import parse_id
from app.domain.job_filter import JobFilter
from app.domain.states import JobState

MAX_TEXT: Final = 2_000
MAX_NAME: Final = 255
MAX_NAMES: Final = 20
MAX_LABELS: Final = 50

FILTERS: Final[Mapping[str, str]] = {
    "status": "such as failed or running; several are any of them",
    "queue": "the name of a queue; several are any of them",
    "type": "the type of the job; several are any of them",
    "label": "a name and a value, such as label:team=search; several must all hold",
    "collection": "the name of the collection",
    "since": "created since then: 30m, 24h, 7d, or a time such as 2026-11-27T08:00Z",
    "until": "created before then, likewise",
    "original": "the whole id of a job: its direct reruns",
}
"""The names of filters, and what each takes."""

_Word: TypeAlias = Sequence[tuple[str, bool]]
"""Characters, each with whether it was within quotation marks."""

_SHORT_ID: Final = re.compile(r"[0-9a-f]{8,12}", re.IGNORECASE)
_LENGTH: Final = re.compile(r"([0-9]{1,6})(s|m|min|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SHOWN: Final = 60
"""How much of a wrong word its error repeats."""


class FilterTextError(InvalidError):
    """A filter that cannot be read, with the sentence that says why."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """What a text is about: a job by its id or the end of it, or else all jobs that match conditions."""

    conditions: JobFilter = JobFilter()  # noqa: RUF009 - frozen
    job_id: UUID | None = None
    id_end: str = ""

    @property
    def by_id(self) -> bool:
        """Whether it is an id."""
        return self.job_id is not None or bool(self.id_end)


def parse(text: str, now: datetime, *, max_text: int = MAX_TEXT) -> JobQuery:
    """Read a filter; raises FilterTextError. `now` is what `since:24h` counts from."""
    if len(text) > max_text:
        raise FilterTextError(f"A filter has at most {max_text:,} characters.")
    values: dict[str, list[_Word]] = {name: [] for name in FILTERS}
    ids: list[str] = []
    for word in words(text):
        name, value = split(word, ":")
        if value is None:
            ids.append(name)
        elif name.lower() in values:
            values[name.lower()].append(value)
        else:
            raise FilterTextError(f"There is no filter {_shown(name)}." + _closest(name, FILTERS))
    if not ids:
        return JobQuery(_conditions(values, now))
    if len(ids) > 1 or any(values.values()):
        other = next((word for word in ids if not _is_id(word)), None)
        if other is None:
            raise FilterTextError("An id stands alone: remove the other words.")
        raise FilterTextError(_unknown(other))
    return _id_query(ids[0])


def write(conditions: JobFilter) -> str:
    """Write the text that reads as these conditions."""
    parts = [
        *(f"status:{state}" for state in sorted(conditions.states or ())),
        *(f"queue:{quoted(name)}" for name in sorted(conditions.queues or ())),
        *(f"type:{quoted(name)}" for name in sorted(conditions.types or ())),
        *(f"label:{quoted(name)}={quoted(value)}" for name, value in conditions.labels),
    ]
    if conditions.collection is not None:
        parts.append(f"collection:{quoted(conditions.collection)}")
    if conditions.original_job_id is not None:
        parts.append(f"original:{conditions.original_job_id}")
    for name, moment in (("since", conditions.created_after), ("until", conditions.created_before)):
        if moment is not None:
            parts.append(f"{name}:{moment.astimezone(UTC).isoformat().replace('+00:00', 'Z')}")
    return " ".join(parts)


def quoted(value: str) -> str:
    """Write a value so that it is read as one word."""
    if value and not any(char.isspace() or char in '"=' for char in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def words(text: str) -> Iterator[_Word]:
    """Yield the words of a text; raises FilterTextError where a quotation mark is not closed."""
    word: list[tuple[str, bool]] = []
    is_quoted = is_escaped = is_word = False
    for char in text:
        if is_escaped:
            word.append((char, True))
            is_escaped = False
        elif is_quoted and char == "\\":
            is_escaped = True
        elif char == '"':
            is_quoted, is_word = not is_quoted, True
        elif char.isspace() and not is_quoted:
            if is_word:
                yield word
            word, is_word = [], False
        else:
            word.append((char, is_quoted))
            is_word = True
    if is_quoted:
        raise FilterTextError("A quotation mark is not closed.")
    if is_word:
        yield word


def split(word: _Word, separator: str) -> tuple[str, _Word | None]:
    """Split a word at the first separator that is not quoted; the second part is None where there is none."""
    at = next((place for place, char in enumerate(word) if char == (separator, False)), None)
    return (_text(word), None) if at is None else (_text(word[:at]), word[at + 1 :])


def _conditions(values: Mapping[str, Sequence[_Word]], now: datetime) -> JobFilter:
    if len(values["label"]) > MAX_LABELS:
        raise FilterTextError(f"A filter has at most {MAX_LABELS} labels.")
    collections = _names("collection", values["collection"], most=1)
    original = _only("original", values["original"])
    original_id = None if original is None else parse_id(original.lower())
    if original is not None and original_id is None:
        raise FilterTextError("original: takes the whole id of a job.")
    return JobFilter(
        states=frozenset(_states(values["status"])) or None,
        types=_names("type", values["type"]),
        queues=_names("queue", values["queue"]),
        collection=None if collections is None else next(iter(collections)),
        labels=tuple(sorted({_label(value) for value in values["label"]})),
        created_after=_moment("since", values["since"], now),
        created_before=_moment("until", values["until"], now),
        original_job_id=original_id,
    )


def _states(values: Sequence[_Word]) -> Iterator[JobState]:
    known = {state.value: state for state in JobState}
    for value in values:
        for name in _text(value).lower().split(","):
            if name not in known:
                which = f"There is no status {_shown(name)}." if name else "status: wants a status."
                raise FilterTextError(which + (_closest(name, known) or f" There are {', '.join(known)}."))
            yield known[name]


def _names(name: str, values: Sequence[_Word], *, most: int = MAX_NAMES) -> frozenset[str] | None:
    names = frozenset(map(_text, values))
    if len(names) > most:
        raise FilterTextError(f"{name}: may be written {'once' if most == 1 else f'{most} times'}.")
    if not all(0 < len(each) <= MAX_NAME for each in names):
        raise FilterTextError(f"{name}: wants a name behind the colon, of at most {MAX_NAME} characters.")
    return names or None


def _label(value: _Word) -> tuple[str, str]:
    name, content = split(value, "=")
    if content is None or not name:
        raise FilterTextError("A label is written label:name=value.")
    if len(name) > MAX_NAME or len(content) > MAX_NAME:
        raise FilterTextError(f"The name and the value of a label have at most {MAX_NAME} characters.")
    return name, _text(content)


def _moment(name: str, values: Sequence[_Word], now: datetime) -> datetime | None:
    text = _only(name, values)
    if text is None:
        return None
    try:
        if length := _LENGTH.fullmatch(text):
            return max(times.FIRST, now - timedelta(seconds=int(length[1]) * _SECONDS[length[2]]))
        moment = datetime.fromisoformat(text.upper())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return times.FIRST
    except ValueError:
        raise FilterTextError(
            f"{name}: wants a length such as 30m, 24h or 7d, or a time such as 2026-11-27T08:00Z, not {_shown(text)}."
        ) from None
    if not times.FIRST <= moment < times.END:
        raise FilterTextError(f"{name}: takes times from 1970 to 9999.")
    return moment


def _only(name: str, values: Sequence[_Word]) -> str | None:
    if len(values) > 1:
        raise FilterTextError(f"{name}: may be written once.")
    return _text(values[0]) if values else None


def _id_query(text: str) -> JobQuery:
    if (job_id := parse_id(text.lower())) is not None:
        return JobQuery(job_id=job_id)
    if _SHORT_ID.fullmatch(text):
        return JobQuery(id_end=text.lower())
    raise FilterTextError(_unknown(text))


def _is_id(text: str) -> bool:
    return parse_id(text.lower()) is not None or _SHORT_ID.fullmatch(text) is not None


def _unknown(text: str) -> str:
    return f"{_shown(text)} is neither a filter, such as status:failed or type:index, nor an id, whole or its last 8."


def _closest(name: str, known: Mapping[str, object]) -> str:
    found = get_close_matches(name.lower()[:MAX_NAME], known, n=1)
    return f" Did you mean {found[0]}?" if found else ""


def _text(word: _Word) -> str:
    return "".join(char for char, _ in word)


def _shown(text: str) -> str:
    return f"“{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}”"
