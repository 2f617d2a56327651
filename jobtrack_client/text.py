"""Text that the service stores, made of whatever a handler passes or raises."""

from __future__ import annotations

import traceback


def plain(value: object) -> str:
    r"""Return `str(value)` as text that can be sent and stored, and never raise.

    Half a surrogate pair (a file name that is not UTF-8) has no encoding, and PostgreSQL stores no NUL: both are
    written as escapes, `\udce9` and `\x00`, so that they can still be told apart.
    """
    try:
        text = str(value)
        # Not `text.encode`: a `__str__` may return a subclass, with methods of its own.
        return str.encode(text, "utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    except BaseException:  # noqa: BLE001  what a broken `__str__` raises is worth less than the report
        return f"<{type(value).__name__} that cannot be shown>"


def cut(text: str, characters: int) -> str:
    """Return the text, at most so many characters of it; what was cut off is marked by an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def lines_of(error: BaseException, characters: int) -> str:
    """Return the traceback of an error, the last so many characters of it: they are nearest to the cause."""
    try:
        lines = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001  a broken attribute of the exception, as in `plain`
        lines = plain(error)
    return plain(lines)[-characters:]
