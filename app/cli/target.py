"""Which service the client commands talk to, and with which key. Nothing of the server may be needed here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit, fail
from app.paths import default_data_dir

if TYPE_CHECKING:
    from jobtrack_client import JobtrackClient

KEY_FILE = "api-key"
# A person waits for the answer: one more try after a hiccup, then the sentence.
_ATTEMPTS = 2

Url = Annotated[
    str | None,
    typer.Option("--url", help="The service's address; default: JOBTRACK_URL, else this machine, at JOBTRACK_PORT."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def address(url: str | None) -> str:
    """Give the service's address: as asked, from the environment, or on this machine."""
    chosen = url or os.environ.get("JOBTRACK_URL", "").strip()
    port = os.environ.get("JOBTRACK_PORT") or os.environ.get("PORT") or "8000"
    return (chosen or f"http://127.0.0.1:{port}").rstrip("/")


def data_dir() -> Path:
    """Give the data directory as the service on this machine has it."""
    chosen = os.environ.get("JOBTRACK_DATA_DIR")
    return Path(chosen).expanduser() if chosen else default_data_dir()


def api_key() -> str:
    """Give the key: from the environment, or the one that a service on this machine has written down."""
    key = os.environ.get("JOBTRACK_API_KEY", "").strip()
    if key:
        return key
    named = os.environ.get("JOBTRACK_API_KEY_FILE")
    path = Path(named) if named else data_dir() / KEY_FILE
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        fail(Exit.UNAUTHORIZED, f"There is no API key: set JOBTRACK_API_KEY, for {path} cannot be read.")


def client(url: str, *, patient: bool = False, key: str | None = None) -> JobtrackClient:
    """Build the client; a patient one outlasts a restart of the service."""
    from jobtrack_client import JobtrackClient, Retry

    return JobtrackClient(url, api_key() if key is None else key, retry=Retry(attempts=30 if patient else _ATTEMPTS))
