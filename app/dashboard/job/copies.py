"""A job as calls to copy: to read it, and to create the same again; for a shell, the command line and Python.

None holds a key: each names the variable that does.
"""

import json
import shlex
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from pydantic_core import from_json

from app.domain.job import DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Job, Retry
from app.domain.json_text import JsonText

_HEADER = '-H "Authorization: Bearer $JOBTRACK_API_KEY"'


@dataclass(frozen=True, slots=True)
class Copied:
    """One text to copy."""

    id: str
    title: str
    text: str


def copies_of(job: Job, address: str) -> tuple[Copied, ...]:
    """Return what can be copied; `address` is where the reader reaches this service."""
    fields = creation_of(job)
    return (
        Copied("curl", "curl", f"{_curl_read(job, address)}\n\n{_curl_create(fields, address)}"),
        Copied("cli", "Command line", f"{_cli_read(job, address)}\n\n{_cli_create(fields, address)}"),
        Copied("python", "Python", _python(job, fields, address)),
    )


def creation_of(job: Job) -> dict[str, Any]:
    """Return the fields that create a job like this one, without those that have their default."""
    fields: dict[str, Any] = {"type": job.type, "queue": job.queue, "payload": payload_of(job)}
    defaults: dict[str, Any] = {
        "engine": None,
        "collection": None,
        "priority": 0,
        "labels": {},
        "max_attempts": DEFAULT_MAX_ATTEMPTS,
    }
    fields |= {name: value for name, default in defaults.items() if (value := getattr(job, name)) != default}
    if job.retry != Retry():
        fields["retry"] = {
            "delay_seconds": job.retry.delay_seconds,
            "factor": job.retry.factor,
            "max_delay_seconds": job.retry.max_delay_seconds,
        }
    return {name: value for name, value in fields.items() if (name, value) != ("queue", DEFAULT_QUEUE)}


def payload_of(job: Job) -> Any:
    """Return the payload of a job that was read with its documents."""
    payload = job.documents.payload if job.documents is not None else None
    return from_json(payload.text) if isinstance(payload, JsonText) else payload


def pretty(value: Any) -> str:
    """Write JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _curl_read(job: Job, address: str) -> str:
    return f"curl -sS {_HEADER} {shlex.quote(f'{address}/v1/jobs/{job.id}')}"


def _curl_create(fields: dict[str, Any], address: str) -> str:
    return (
        f"curl -sS {_HEADER} -H 'Content-Type: application/json' \\\n"
        f"  --data-raw {shlex.quote(pretty(fields))} \\\n"
        f"  {shlex.quote(f'{address}/v1/jobs')}"
    )


def _cli_read(job: Job, address: str) -> str:
    return f"# The key is read from $JOBTRACK_API_KEY.\njobtrack jobs get {job.id} --url {shlex.quote(address)}"


def _cli_create(fields: dict[str, Any], address: str) -> str:
    options = [f"--url {shlex.quote(address)}"]
    if "queue" in fields:
        options.append(shlex.quote(f"--queue={fields['queue']}"))
    if "priority" in fields:
        options.append(f"--priority={fields['priority']}")
    options += [shlex.quote(f"--label={name}={value}") for name, value in fields.get("labels", {}).items()]
    if fields["payload"] is not None:
        options.append(shlex.quote(f"--payload={json.dumps(fields['payload'], ensure_ascii=False)}"))
    options.append(f"-- {shlex.quote(fields['type'])}")
    missing = sorted({"engine", "collection", "max_attempts", "retry"}.intersection(fields))
    note = f"# Not among its options: {', '.join(missing)}. curl and Python take all fields.\n" if missing else ""
    command = " \\\n  ".join(options)
    return f"{note}jobtrack jobs submit {command}"


def _python(job: Job, fields: dict[str, Any], address: str) -> str:
    rest = {name: value for name, value in fields.items() if name != "type"}
    arguments = "".join(f"        {name}={_literal(value)},\n" for name, value in rest.items())
    return (
        "import os\n\nfrom jobtrack_client import JobtrackClient\n\n"
        "# The key stands in $JOBTRACK_API_KEY.\n"
        f'with JobtrackClient({address!r}, os.environ["JOBTRACK_API_KEY"]) as jobtrack:\n'
        f'    job = jobtrack.get_job("{job.id}")\n'
        f"    same_again = jobtrack.create_job(\n        {fields['type']!r},\n{arguments}    )\n"
    )


def _literal(value: Any) -> str:
    return pformat(value, width=100, sort_dicts=False).replace("\n", "\n        ")
