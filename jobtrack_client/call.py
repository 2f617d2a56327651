"""One call to the service as data: what to send, how to read the response, whether it may be repeated.

Nothing here sends anything. The two clients do, each in its own way, and share everything else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from jobtrack_client import discovery
from jobtrack_client.errors import Unauthorized, Unavailable, from_response

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
# Seconds added to a wait before its response counts as lost: time for the network and for a busy service.
SLACK_SECONDS = 15.0
# During a wait without a limit the service sends white space every 15 s; after four missed ones the connection is dead.
ENDLESS_SILENCE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request to send; the type parameter is what `read` returns for its response."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, str | int | list[str]] = dataclasses.field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    # A body that is not JSON, and whether the response body is bytes instead of JSON.
    content: bytes | Iterable[bytes] | None = None
    raw: bool = False
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # Whether sending the call twice has the same effect as sending it once.
    repeatable: bool = False
    # Seconds for which the service may hold the response; -1: without a limit; None: not at all.
    wait: int | None = None
    # Read timeout where the client's own is too long: a heartbeat that hangs must fail in time for the next one.
    timeout: float | None = None
    # Whether the call is never retried, because it checks whether the service responds now.
    once: bool = False

    def arguments(self, waited: float, timeout: float) -> dict[str, Any]:
        """Return the arguments for httpx; the wait is shortened by the `waited` seconds of earlier attempts."""
        params, body = dict(self.params), None if self.body is None else dict(self.body)
        read_timeout = timeout if self.timeout is None else self.timeout
        if self.wait is not None:
            left = self.wait if self.wait < 0 else max(0, math.ceil(self.wait - waited))
            if body is None:
                params["wait"] = left
            else:
                body["wait"] = left
            read_timeout = ENDLESS_SILENCE_SECONDS if left < 0 else max(timeout, left + SLACK_SECONDS)
        return {
            "method": self.method,
            "url": self.path,
            "params": params or None,
            "headers": dict(self.headers),
            "json": body,
            "content": self.content,
            "timeout": httpx.Timeout(timeout, read=read_timeout),
        }

    def result(self, response: httpx.Response, address: str) -> T:
        """Return the result of the call, or raise the error that the response means."""
        if response.status_code in (httpx.codes.NOT_MODIFIED, httpx.codes.NO_CONTENT):
            return self.read(None)
        if not response.is_success:
            raise from_response(response, address)
        if self.raw:
            return self.read(response.content)
        try:
            return self.read(response.json())
        except (ValueError, KeyError, TypeError) as error:
            # Truncated after the white space of a long wait, or not a response of Jobtrack at all.
            detail = f"The server at {address} does not speak Jobtrack's protocol, or its response was cut off"
            raise Unavailable(detail, code="broken_answer", status=response.status_code) from error


def connection(url: str | None, api_key: str | None) -> dict[str, Any]:
    """Return the arguments that both kinds of httpx client are built with.

    `url` and `api_key` take precedence over what `discovery` finds. Where that is no key, none is sent: some calls
    need none.
    """
    url = discovery.address(url)
    if not api_key:
        try:
            api_key = discovery.api_key(url)
        except (discovery.NoKeyError, RuntimeError):
            api_key = ""
    api_key = api_key.strip()
    try:
        parts = httpx.URL(url)
        # What resolves the name encodes it so, and raises no error of a connection where it cannot.
        parts.raw_host.decode("ascii").encode("idna")
        host = parts.host
    except (httpx.InvalidURL, UnicodeError):
        parts, host = httpx.URL(), ""
    if parts.scheme not in {"http", "https"} or not host:
        # What stands before the last @ is a password where the database's address was given by mistake.
        shown = f"***@{url.rpartition('@')[2]}" if "@" in url else url
        detail = f"{shown!r} is not an address of Jobtrack: it should look like {DEFAULT_URL}"
        raise Unavailable(detail, code="bad_address")
    if parts.userinfo:
        # httpx would send them in place of the key, and every message about the address would print them.
        detail = f"An address of Jobtrack holds no user name or password: it should look like {DEFAULT_URL}"
        raise Unavailable(detail, code="bad_address")
    if not api_key.isascii() or not api_key.isprintable():
        detail = "The API key contains characters that are not allowed in a key"
        raise Unauthorized(detail, code="unauthorized", status=401)
    headers = {"Accept": "application/json", "User-Agent": "jobtrack-client"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": url,
        "headers": headers,
        # Without a limit, a heartbeat never has to queue for a connection behind long waits.
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        # A proxy that the environment names cannot reach the loopback interface of this machine.
        "trust_env": host not in discovery.LOOPBACK,
    }


def job_path(job_id: str, suffix: str = "") -> str:
    """Return the path of a job, with the id escaped whatever characters it contains."""
    return f"/v1/jobs/{path_step(job_id)}{suffix}"


def path_step(text: str) -> str:
    """Return a text as one step of a path. Dots are escaped where httpx would walk: `..` is the name of no parent."""
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


# The models are dictionaries, so reading a body only checks its outer shape. Another shape raises, which `Call.result`
# reports as a response that is not Jobtrack's.


def read_object(body: Any) -> Any:
    """Return the body as it is. Raises `TypeError` if it is not an object."""
    if not isinstance(body, dict):
        raise TypeError(body)
    return body


def read_list(field: str) -> Callable[[Any], Any]:
    """Return a function that reads the list in the given field of a body."""
    return lambda body: list(body[field])


def read_nothing(_: object) -> None:
    """Ignore the body, for calls without a result."""
