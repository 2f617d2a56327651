"""One call to the service as data: what to send, how to read the answer, whether it may be repeated.

Nothing here sends anything. The two clients do, each in its own way, and share everything else.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from jobtrack_client.errors import Unauthorized, Unavailable, from_response

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Seconds added to a wait before the answer counts as lost: the way there and back, a busy service.
SLACK_SECONDS = 15.0
# An endless wait gets white space every 15 s, so a silence of four of those means that nobody is there.
ENDLESS_SILENCE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request to be sent, typed by what its answer is read as."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, str | int | list[str]] = dataclasses.field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    # What is sent instead of JSON, and whether the answer is bytes and no JSON.
    content: bytes | Iterable[bytes] | None = None
    raw: bool = False
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # Sending it twice does what sending it once does.
    repeatable: bool = False
    # How long the service may hold the answer, in seconds; -1: as long as it takes; None: not at all.
    wait: int | None = None
    # Seconds for the answer where the client's own are too many: a heartbeat that hangs must fail in time for another.
    timeout: float | None = None
    # Needs no second try: the question is whether the service answers now.
    once: bool = False

    def arguments(self, waited: float, timeout: float) -> dict[str, Any]:
        """Give the arguments for httpx, with the wait shortened by the `waited` seconds of earlier tries."""
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
        """Read the answer, or raise what it says."""
        if response.status_code in (httpx.codes.NOT_MODIFIED, httpx.codes.NO_CONTENT):
            return self.read(None)
        if not response.is_success:
            raise from_response(response, address)
        if self.raw:
            return self.read(response.content)
        try:
            return self.read(response.json())
        except (ValueError, KeyError, TypeError) as error:
            # Cut off after the white space of a long wait, or not Jobtrack at all.
            detail = f"What answers at {address} does not speak Jobtrack's protocol, or was cut off"
            raise Unavailable(detail, code="broken_answer", status=response.status_code) from error


def connection(url: str | None, api_key: str | None) -> dict[str, Any]:
    """Give the arguments that both kinds of httpx client are built with.

    Arguments win over `JOBTRACK_URL` and `JOBTRACK_API_KEY`.
    """
    url = (url or os.environ.get("JOBTRACK_URL") or DEFAULT_URL).strip().rstrip("/")
    api_key = (api_key or os.environ.get("JOBTRACK_API_KEY") or "").strip()
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in {"http", "https"} or not parts.host:
        # What stands before the last @ is a password where the database's address was given by mistake.
        shown = f"***@{url.rpartition('@')[2]}" if "@" in url else url
        detail = f"{shown!r} is not an address of Jobtrack: it should look like {DEFAULT_URL}"
        raise Unavailable(detail, code="bad_address")
    if parts.userinfo:
        # httpx would send them in place of the key, and every message about the address would print them.
        detail = f"An address of Jobtrack holds no user name or password: it should look like {DEFAULT_URL}"
        raise Unavailable(detail, code="bad_address")
    if not api_key.isascii() or not api_key.isprintable():
        detail = "The API key holds characters that no key has"
        raise Unauthorized(detail, code="unauthorized", status=401)
    headers = {"Accept": "application/json", "User-Agent": "jobtrack-client"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": url,
        "headers": headers,
        # A heartbeat must never queue behind long waits for a connection of the pool.
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        # A proxy from the environment cannot reach this machine's own loopback.
        "trust_env": parts.host not in LOOPBACK,
    }


def job_path(job_id: str, rest: str = "") -> str:
    """Give the path of a job, whatever characters its id is given in."""
    return f"/v1/jobs/{quote(job_id, safe='')}{rest}"


# The views are dictionaries, so reading an answer is no more than a look at its outer shape; another
# one raises, which `Call.result` reports as an answer that is not Jobtrack's.


def whole(answer: Any) -> Any:
    """Read the answer as it is."""
    if not isinstance(answer, dict):
        raise TypeError(answer)
    return answer


def inner(field: str) -> Callable[[Any], Any]:
    """Read the list in that field of the answer."""
    return lambda answer: list(answer[field])
