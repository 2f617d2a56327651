"""How a program ends that is a worker and nothing else: with one sentence and an exit code, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from jobtrack_client.errors import Forbidden, JobtrackError, NotFound, Unauthorized, Unavailable, Unprocessable
from jobtrack_client.lost_handlers import WorkerStuckError

_MAX_SENTENCE = 2000
# The first that fits, with the exit codes of the command line.
_EXIT_CODES: Sequence[tuple[type[Exception], int]] = (
    (Unauthorized, 5),
    (Forbidden, 5),
    (NotFound, 4),
    (Unavailable, 6),
    (Unprocessable, 2),
    (JobtrackError, 7),
    (WorkerStuckError, 1),
    (ValueError, 2),
    (RuntimeError, 3),
)


def end(error: Exception, address: str) -> NoReturn:
    """Print what ended the program to standard error, and raise `SystemExit` with the code that scripts check."""
    sentence = str(error).strip()
    sentence = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    if isinstance(error, Unauthorized) and "JOBTRACK_API_KEY" not in sentence:
        sentence = f"{sentence} Set JOBTRACK_API_KEY to a key of the service at {address}."
    explain(sentence)
    raise SystemExit(next(code for kind, code in _EXIT_CODES if isinstance(error, kind))) from error


def explain(sentence: str) -> None:
    """Print a sentence to standard error, on one line of bounded length, without what a terminal would act on."""
    if len(sentence) > _MAX_SENTENCE:
        sentence = f"{sentence[: _MAX_SENTENCE // 2]} ... {sentence[-_MAX_SENTENCE // 2 :]}"
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in sentence)
    print(f"jobtrack: {text}", file=sys.stderr)  # noqa: T201  it talks to a terminal
