"""What a worker says on a terminal: its own log, a line an event."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from jobtrack_client.patience import logger

_SHOWN_ID_CHARACTERS = 8


class _Lines(logging.Formatter):
    """The time and the message, with ids shortened as the command line shows them, and nothing a terminal acts on."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        job_id = getattr(record, "job_id", None)
        if isinstance(job_id, str) and job_id:
            text = text.replace(job_id, job_id[-_SHOWN_ID_CHARACTERS:])
        return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


class _Repeats(logging.Filter):
    """Drops a message that is the same as the last one, as while the service is away."""

    _last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        message, self._last = self._last, record.getMessage()
        return message != self._last


@contextlib.contextmanager
def said(quiet: bool | None) -> Iterator[None]:
    """Print what the worker logs to standard error inside the block, unless `quiet`.

    None: if that is a terminal, and the program has not set up logging itself. In a log of its own, each line is there
    anyway.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if quiet or (quiet is None and (not is_terminal or logger.hasHandlers())):
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(_Repeats())
    level = logger.level
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def lasted(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
