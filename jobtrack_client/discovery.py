"""The service and the API key that a client uses where its user names none; the command line finds them here, too.

A key that the user has set goes wherever the user says. The one that a service has written to the data directory goes
to that service alone: the service notes its address beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import httpx

from jobtrack_client.errors import Unauthorized

KEY_FILE = "api-key"
ADDRESS_FILE = "api-key.url"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_THIS_MACHINE = "localhost"


class NoKeyError(Unauthorized):
    """The user has set no key, and the one in the data directory is not of the service at this address."""


def address(url: str | None = None) -> str:
    """Return the address of the service: the given one, that of the environment, or that of this machine."""
    chosen = (url or os.environ.get("JOBTRACK_URL") or "").strip()
    port = os.environ.get("JOBTRACK_PORT") or os.environ.get("PORT") or "8000"
    return (chosen or f"http://127.0.0.1:{port}").rstrip("/")


def default_data_dir() -> Path:
    """Return the default folder of the embedded database and of the key that the service writes.

    Root has another default, because root's own data folder is closed to all other users, and PostgreSQL has to run as
    one of them.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/jobtrack")
    # Imported here, because a client with an address and a key does not need it.
    from platformdirs import user_data_path  # noqa: PLC0415

    return user_data_path("jobtrack", appauthor=False)


def data_dir() -> Path:
    """Return the data directory that the service on this machine uses. Raises `RuntimeError` for `~nobody`."""
    chosen = os.environ.get("JOBTRACK_DATA_DIR")
    return Path(chosen).expanduser() if chosen else default_data_dir()


def api_key(url: str) -> str:
    """Return the key for this address: the user's, or the one of the service on this machine that serves there.

    Raises `NoKeyError`, `Unauthorized` if the user's file cannot be read, and `RuntimeError` as `data_dir` does.
    """
    key = os.environ.get("JOBTRACK_API_KEY", "").strip()
    named = os.environ.get("JOBTRACK_API_KEY_FILE")
    if not key and named:
        key = _read(Path(named)) or ""
        if not key:
            # Not the name: whoever mixes the two variables up has put the key there.
            detail = "There is no API key: the file that JOBTRACK_API_KEY_FILE names cannot be read."
            raise Unauthorized(detail, code="unauthorized", status=401)
    return key or _kept_key(url)


def is_loopback(url: str) -> bool:
    """Check whether an address is this machine's own, on every network and whatever the proxy."""
    parts = _parsed(url)
    return parts is not None and _origin(parts).host == _THIS_MACHINE


def kept_address(folder: Path) -> str | None:
    """Return the address of the service that keeps its key in this data directory; None where it keeps none."""
    service = _parsed(_read(folder / ADDRESS_FILE) or "")
    return None if service is None else str(service)


def are_same(url: str, other: str) -> bool:
    """Check whether two addresses are those of one service."""
    parts, others = _parsed(url), _parsed(other)
    return parts is not None and others is not None and _origin(parts) == _origin(others)


def _parsed(url: str) -> httpx.URL | None:
    """Read an address with the parser that decides where the request goes: by another's reading the key might stray."""
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
        raise NoKeyError(f"No key for {shown}: set JOBTRACK_API_KEY; {why}.", code="unauthorized", status=401)
    return key


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, ValueError):
        return None
