"""Exit codes, and one clear sentence for each kind of error.

Scripts check the code. The sentence is printed to standard error, so that standard output contains only results.
"""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NoReturn

import typer

from app.cli.printable import printable

if TYPE_CHECKING:
    from jobtrack_client import Job


class Exit(enum.IntEnum):
    """The exit codes of the command; the README and `--help` list them, too."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    START_UP = 3
    NOT_FOUND = 4
    UNAUTHORIZED = 5
    UNREACHABLE = 6
    REFUSED = 7
    TIMED_OUT = 8
    # What a shell reports for a program that Ctrl-C ended.
    INTERRUPTED = 130


_MAX_SENTENCE = 2000


def fail(code: Exit, sentence: str) -> NoReturn:
    """Print the sentence to standard error and exit with the code."""
    explain(sentence)
    raise typer.Exit(code)


def explain(sentence: str) -> None:
    """Print a sentence to standard error, on one line of bounded length, without what a terminal would act on."""
    if len(sentence) > _MAX_SENTENCE:
        sentence = f"{sentence[: _MAX_SENTENCE // 2]} ... {sentence[-_MAX_SENTENCE // 2 :]}"
    print(f"jobtrack: {printable(sentence)}", file=sys.stderr)


def exit_code(jobs: Collection[Job]) -> Exit:
    """Return the exit code that reports the outcome of these jobs to a script."""
    from jobtrack_client import has_succeeded, is_terminal

    if any(is_terminal(job) and not has_succeeded(job) for job in jobs):
        return Exit.JOB_FAILED
    return Exit.OK if all(map(is_terminal, jobs)) else Exit.TIMED_OUT


@contextlib.contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Turn a failed import inside the block into a message with the command that installs the missing extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"app", "jobtrack_client"}:
            raise
        fail(
            Exit.START_UP, f"{what} needs more than the client: run pip install '.[{extra}]' in a checkout of Jobtrack."
        )


@contextlib.contextmanager
def clear_sentences(url: str) -> Iterator[None]:
    """Turn exceptions of the client inside the block into a sentence and an exit code."""
    from jobtrack_client import Forbidden, JobtrackError, NotFound, Unauthorized, Unavailable, Unprocessable

    try:
        yield
    except Unauthorized as error:
        fail(Exit.UNAUTHORIZED, f"{_sentence(error)} Set JOBTRACK_API_KEY to a key of the service at {url}.")
    except Forbidden as error:
        fail(Exit.UNAUTHORIZED, _sentence(error))
    except NotFound as error:
        fail(Exit.NOT_FOUND, _sentence(error))
    except Unavailable as error:
        fail(Exit.UNREACHABLE, f"{_sentence(error)} Is JOBTRACK_URL right, and does the service run?")
    except Unprocessable as error:
        # Without a place at fault, a request that can be read was refused for what the service has, not for its words.
        fail(Exit.USAGE if error.errors or error.status != 422 else Exit.REFUSED, _sentence(error))
    except JobtrackError as error:
        fail(Exit.REFUSED, _sentence(error))
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def _sentence(error: Exception) -> str:
    text = str(error).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
