"""Values that an option refuses before anything is sent: words that are none of its choices, and times without end."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from typing import Any

import typer


def choice(option: str, words: Iterable[str], description: str) -> Any:
    """Return an option whose values are some of the words: a typo is answered with the word that was meant.

    Not typer's own enumerations: their error names all words and not the nearest, and repeats a value of any length.
    """
    known = tuple(words)

    def parse(text: str) -> str:
        if text in known:
            return text
        near = difflib.get_close_matches(text[:100], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(known)}."
        raise typer.BadParameter(f"{shown(text)} is not known; {hint}")

    return typer.Option(
        option,
        parser=parse,
        metavar="WORD",
        autocompletion=_starting(known),
        help=f"{description} The words: {', '.join(known)}.",
    )


def _starting(words: tuple[str, ...]) -> Callable[[str], list[str]]:
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def seconds(text: str) -> float:
    """Parse a number of seconds; an infinite one is none, for the option is left out to wait without end."""
    return _finite(text, "a number of seconds")


def number(text: str) -> float:
    """Parse a finite number, as JSON has no other."""
    return _finite(text, "a number")


def _finite(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"{shown(text)} is not {what}, 0 or more.")
    return value


def shown(text: str) -> str:
    """Quote a value for a message: in ASCII, as it may be no text at all, and cut, as it may be a file's content."""
    return ascii(text if len(text) <= 60 else f"{text[:60]}...")
