"""Large answers: rendered off the event loop, row by row."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, ParamSpec, TypeVar

from pydantic_core import to_json

from app.domain.job import Job

P = ParamSpec("P")
Text = TypeVar("Text", bytes, str)

LARGE_BYTES: Final = 256 * 1024
"""What renders in a millisecond; a thread costs a tenth of one."""


async def rendered(size: int, render: Callable[P, Text], *args: P.args, **kwargs: P.kwargs) -> Text:
    """Render an answer of about `size` bytes, a large one in a thread.

    A thread is not a second processor: the encoder holds the interpreter's lock for as long as it writes one value. But
    between two rows the event loop gets its turn, so that a probe or a heartbeat waits for a row of a MiB (some
    milliseconds) and not for the whole answer. `render` must therefore write row by row.
    """
    if size < LARGE_BYTES:
        return render(*args, **kwargs)
    return await asyncio.to_thread(render, *args, **kwargs)


def size_of(jobs: Iterable[Job]) -> int:
    """Return the bytes of jobs that were read with documents, about."""
    return sum(job.documents.size for job in jobs if job.documents is not None)


def with_list(document: bytes, name: str, rows: Iterable[bytes]) -> bytes:
    """Write an object that is JSON already, with one more field: a list whose rows are."""
    return document[:-1] + b"," + to_json(name) + b":[" + b",".join(rows) + b"]}"


def list_body(name: str, rows: Iterable[bytes], **others: Any) -> bytes:
    """Write an object of a list whose rows are JSON already, and of other fields."""
    rest = b"".join(b"," + to_json(field) + b":" + to_json(value) for field, value in others.items())
    return b"{" + to_json(name) + b":[" + b",".join(rows) + b"]" + rest + b"}"
