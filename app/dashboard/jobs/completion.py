"""Completion of the filter: what its last word may go on with. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.dashboard.jobs.filter_text import FILTERS, FilterTextError, quoted, split, words
from app.domain.job import Job
from app.domain.states import JobState

MOST: Final = 20


@dataclass(frozen=True, slots=True)
class LastWord:
    """The last word of a text: what stands before it, its filter if it has one, and how its value begins."""

    before: str
    name: str | None
    start: str


def last_word(text: str) -> LastWord | None:
    """Return the word that is being written; None in the midst of a quotation, which has no completion."""
    try:
        found = list(words(text))
    except FilterTextError:
        return None
    if not found or text[-1].isspace():
        return LastWord(text, None, "")
    name, value = split(found[-1], ":")
    # What is quoted in the last word has blanks of its own; it is complete.
    if any(is_quoted for _, is_quoted in found[-1]):
        return None
    before = text[: len(text) - len(found[-1])]
    return (
        LastWord(before, None, name) if value is None else LastWord(before, name.lower(), "".join(c for c, _ in value))
    )


def completions(word: LastWord, values: Iterable[str] = ()) -> list[str]:
    """Return whole texts that go on with the last word: names of filters, or values of the filter that it has.

    A value of a label is written `name=value`, quoted where it needs to be, as all `values` are.
    """
    if word.name is None:
        found: Iterable[str] = (f"{name}:" for name in FILTERS)
        return [word.before + each for each in found if each.startswith(word.start.lower())]
    if word.name == "status":
        *whole, start = word.start.lower().split(",")
        values = (",".join([*whole, state.value]) for state in JobState if state.value.startswith(start))
    elif word.name in {"since", "until"}:
        values = ("15m", "1h", "24h", "7d", "30d")
    known = (each for each in dict.fromkeys(values) if each.strip('"').lower().startswith(word.start.lower()))
    return [f"{word.before}{word.name}:{each}" for each, _ in zip(known, range(MOST), strict=False)]


def values_of(name: str, jobs: Iterable[Job]) -> list[str]:
    """Return the values that jobs have for a filter, as they are written."""
    found: set[str] = set()
    for job in jobs:
        if name == "type":
            found.add(quoted(job.type))
        elif name == "collection" and job.collection:
            found.add(quoted(job.collection))
        elif name == "label":
            found.update(f"{quoted(key)}={quoted(value)}" for key, value in job.labels.items())
    return sorted(found)
