"""The service and the API key that the client commands use. This must not import anything of the server."""

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
# A person is waiting: retry once after a hiccup, then report the error.
_ATTEMPTS = 2

Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="The address of the service; default: JOBTRACK_URL, else this machine at JOBTRACK_PORT."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def address(url: str | None) -> str:
    """Return the address of the service: the given one, that of the environment, or that of this machine."""
    chosen = url or os.environ.get("JOBTRACK_URL", "").strip()
    port = os.environ.get("JOBTRACK_PORT") or os.environ.get("PORT") or "8000"
    return (chosen or f"http://127.0.0.1:{port}").rstrip("/")


def data_dir() -> Path:
    """Return the data directory that the service on this machine uses."""
    chosen = os.environ.get("JOBTRACK_DATA_DIR")
    return Path(chosen).expanduser() if chosen else default_data_dir()


def api_key() -> str:
    """Return the API key of the environment, or the one that a service on this machine has stored."""
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
    """Build the client; a patient one keeps retrying during a restart of the service."""
    from jobtrack_client import JobtrackClient, Retry

    return JobtrackClient(url, api_key() if key is None else key, retry=Retry(attempts=30 if patient else _ATTEMPTS))
