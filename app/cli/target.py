"""The service and the API key that the client commands use. This must not import anything of the server.

A key that the user has set goes wherever the user says. The one that a service has written to the data directory goes
to that service alone: the service notes its address beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.exits import Exit, fail
from app.paths import default_data_dir

if TYPE_CHECKING:
    import httpx

    from jobtrack_client import JobtrackClient

KEY_FILE = "api-key"
ADDRESS_FILE = "api-key.url"
_THIS_MACHINE = "localhost"
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
    try:
        return Path(chosen).expanduser() if chosen else default_data_dir()
    except RuntimeError as error:
        # As for ~nobody, whose home is nowhere.
        fail(Exit.START_UP, f"JOBTRACK_DATA_DIR is wrong: {error}")


def api_key(url: str) -> str:
    """Return the key for this address: the user's, or the one of the service on this machine that serves there."""
    key = os.environ.get("JOBTRACK_API_KEY", "").strip()
    named = os.environ.get("JOBTRACK_API_KEY_FILE")
    if not key and named:
        key = _read(Path(named)) or ""
        if not key:
            # Not the name: whoever mixes the two variables up has put the key there.
            fail(Exit.UNAUTHORIZED, "There is no API key: the file that JOBTRACK_API_KEY_FILE names cannot be read.")
    return key or _kept_key(url)


def is_loopback(url: str) -> bool:
    """Check whether an address is this machine's own, on every network and whatever the proxy."""
    parts = _parsed(url)
    return parts is not None and _origin(parts).host == _THIS_MACHINE


def _parsed(url: str) -> httpx.URL | None:
    """Read an address with the parser that decides where the request goes: by another's reading the key might stray."""
    import httpx

    try:
        parts = httpx.URL(url.strip())
        host = parts.host
    except (httpx.InvalidURL, UnicodeError):
        return None
    return parts if parts.scheme in {"http", "https"} and host else None


class _Origin(NamedTuple):
    """What two addresses of one service have in common; a user name in front of it is never part of ours."""

    user: bytes
    scheme: str
    host: str
    port: int | None


def _origin(parts: httpx.URL) -> _Origin:
    from jobtrack_client.call import LOOPBACK

    host = _THIS_MACHINE if parts.host in LOOPBACK else parts.host
    return _Origin(parts.userinfo, parts.scheme, host, parts.port)


def _kept_key(url: str) -> str:
    parts = _parsed(url)
    if parts is None:
        # The client refuses such an address in words of its own, and sends nothing.
        return ""
    path, note = data_dir() / KEY_FILE, data_dir() / ADDRESS_FILE
    key, service = _read(path), _parsed(_read(note) or "")
    if key is None:
        why = f"{path} cannot be read"
    elif service is None:
        why = f"the one in {path} is only for the address in {note}, which a service writes when it starts"
    else:
        why = f"the one in {path} is only for {service}"
    if key is None or service is None or _origin(service) != _origin(parts):
        shown = f"{parts.scheme}://{'***@' if parts.userinfo else ''}{parts.netloc.decode()}"
        fail(Exit.UNAUTHORIZED, f"No key for {shown}: set JOBTRACK_API_KEY; {why}.")
    return key


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def client(url: str, *, key: str | None = None) -> JobtrackClient:
    """Build the client. What it follows goes on over a restart of the service, once there was an answer."""
    from jobtrack_client import JobtrackClient, Retry

    key = api_key(url) if key is None else key
    return JobtrackClient(url, key, retry=Retry(attempts=_ATTEMPTS))
