"""Text that others wrote, on its way to a terminal, a pipe or a line of a log."""

from __future__ import annotations

_CONTROLS = {code: ascii(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0))}


def printable(text: str) -> str:
    """Escape what a terminal would act on: control characters, changes of direction, halves of surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def on_a_line(text: str) -> str:
    """Escape control characters alone: a tab or a line break in a value would split its column or its row in two."""
    return text.translate(_CONTROLS)
