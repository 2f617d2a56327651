"""The large parts of a job, its labels and where else it is shown. Pure functions."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from app.domain.job import Job
from app.domain.json_text import JsonText

MOST_SHOWN: Final = 20_000
"""Characters of a document: no one reads more on a page."""
MOST_FORMATTED: Final = 256 * 1024
"""Characters of a document that is written with indents: of a longer one the beginning is shown as it is."""
_HEADER: Final = '-H "Authorization: Bearer $JOBTRACK_API_KEY"'


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text, the beginning of a long one."""

    id: str
    title: str
    text: str
    left_out: int
    """Characters of it that are not here."""
    call: str | None
    """What reads all of it, None where workers alone get it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a client of one API reads the job."""

    id: str
    title: str
    call: str


def documents_of(job: Job, address: str) -> tuple[Document, ...]:
    """Return the payload, the result and the billing of a job that was read with them, those that there are."""
    if job.documents is None:
        return ()
    parts = (("payload", job.documents.payload), ("result", job.documents.result), ("billing", job.documents.billing))
    call = f"curl -sS {_HEADER} {shlex.quote(f'{address}/v1/jobs/{job.id}')}"
    return tuple(_document(name, value, f"{call} | jq .{name}") for name, value in parts if value is not None)


def checkpoint_of(text: JsonText | None) -> Document | None:
    """Return a checkpoint as the page shows it."""
    return None if text is None else _document("checkpoint", text, None)


def _document(name: str, value: Any, call: str | None) -> Document:
    text = value.text if isinstance(value, JsonText) else json.dumps(value, ensure_ascii=False)
    if len(text) <= MOST_FORMATTED:
        text = json.dumps(json.loads(text) if isinstance(value, JsonText) else value, indent=2, ensure_ascii=False)
    return Document(name, name.capitalize(), text[:MOST_SHOWN], max(0, len(text) - MOST_SHOWN), call)


def readings_of(job: Job, address: str, readings: Mapping[str, tuple[str, str | None]]) -> tuple[Reading, ...]:
    """Return how clients of each API read the job: the path, and for those that post one the body."""
    names = {"job_id": str(job.id), "collection": quote(job.collection or "any", safe="")}
    found = [Reading("native", "Jobtrack", f"curl -sS {_HEADER} {shlex.quote(f'{address}/v1/jobs/{job.id}')}")]
    for n, (title, (path, body)) in enumerate(readings.items()):
        call = f"curl -sS {_HEADER} {shlex.quote(address + _filled(path, names))}"
        if body is not None:
            call += f" -H 'Content-Type: application/json' -d {shlex.quote(_filled(body, names))}"
        found.append(Reading(f"dialect-{n}", title, call))
    return tuple(found)


def _filled(text: str, names: Mapping[str, str]) -> str:
    """Put names in the places of a text. Not by `format`: a body has braces of its own."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text
