"""The options of the client commands, and the client they use. This must not import anything of the server.

`jobtrack_client.discovery` finds the address and the key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit, fail

if TYPE_CHECKING:
    from jobtrack_client import JobtrackClient

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
    from jobtrack_client import discovery

    return discovery.address(url)


def data_dir() -> Path:
    """Return the data directory that the service on this machine uses."""
    from jobtrack_client import discovery

    with _sentences():
        return discovery.data_dir()


def api_key(url: str) -> str:
    """Return the key for this address: the user's, or the one of the service on this machine that serves there."""
    from jobtrack_client import discovery

    with _sentences():
        return discovery.api_key(url)


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    from jobtrack_client import Unauthorized

    try:
        yield
    except Unauthorized as error:
        fail(Exit.UNAUTHORIZED, error.detail)
    except RuntimeError as error:
        # As for ~nobody, whose home is nowhere.
        fail(Exit.START_UP, f"JOBTRACK_DATA_DIR is wrong: {error}")


def client(url: str, *, key: str | None = None) -> JobtrackClient:
    """Build the client. What it follows goes on over a restart of the service, once there was an answer."""
    from jobtrack_client import JobtrackClient, Retry

    key = api_key(url) if key is None else key
    return JobtrackClient(url, key, retry=Retry(attempts=_ATTEMPTS))
