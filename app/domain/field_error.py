"""Errors at places of a request, and the one sentence for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_PLACE: Final = 200
MAX_FAULT: Final = 500
"""How much of a place and of its fault a message repeats: it goes to logs, to terminals and into failed jobs, and the
names of fields are the caller's.
"""


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error at one place of a request: a JSON Pointer into the body, or `?name` for a query."""

    pointer: str
    code: str
    message: str


def first_of(errors: Sequence[FieldError], count: int) -> str:
    """Return a sentence that names the first error, and how many more there are of `count`."""
    first = errors[0]
    fault = _cut(first.message.rstrip("."), MAX_FAULT)
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{_cut(_place_of(first.pointer), MAX_PLACE)}: {fault}{more}."


def _place_of(pointer: str) -> str:
    """Name a place for people. Its names may be any text, and must not break the line or colour the terminal."""
    if pointer in ("", "?"):
        return "The query" if pointer else "The body"
    where, colon, name = pointer.partition(":")
    text = f"{where.capitalize()} {name}" if colon and pointer[0] not in "/?" else pointer
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"
