"""The other side of each program here: a producer and a worker over the native API, with the standard library alone.

These programs run in the vendors' own environments, where nothing of ours is installed. `CLIENT_URL` is where the
vendor's client is sent to, which may be a proxy; `NATIVE_URL` is the service itself.
"""

import json
import os
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

CLIENT_URL = os.environ["CLIENT_URL"]
NATIVE_URL = os.environ["NATIVE_URL"]
API_KEY = os.environ["API_KEY"]
PATIENCE_SECONDS = 20.0


def call(method: str, path: str, body: Any = None) -> Any:
    """One native call; raises for an error."""
    request = urllib.request.Request(  # the service under test, on loopback
        NATIVE_URL + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.loads(answer.read() or b"null")


def read_input(job_id: str, token: str) -> bytes:
    """What the worker that holds a job reads as its input."""
    request = urllib.request.Request(
        f"{NATIVE_URL}/v1/jobs/{job_id}/input",
        headers={"Authorization": f"Bearer {API_KEY}", "Lease-Token": token},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        content: bytes = answer.read()
        return content


def create(**fields: Any) -> str:
    """Make a job; its id."""
    return str(call("POST", "/v1/jobs", {"type": "document_processing", **fields})["id"])


def claim(job_id: str) -> str:
    """Take a job; the token."""
    asked = {"worker": "vendors", "job_ids": [job_id], "max": 1, "lease_seconds": 60}
    return str(call("POST", "/v1/claims", asked)["jobs"][0]["lease"]["token"])


def claim_any(job_type: str) -> tuple[str, str]:
    """Wait for a job of a type; its id and token."""
    asked = {"worker": "vendors", "types": [job_type], "max": 1, "lease_seconds": 60, "wait": 20}
    [job] = call("POST", "/v1/claims", asked)["jobs"]
    return job["id"], job["lease"]["token"]


def say(job_id: str, verb: str, token: str, **fields: Any) -> None:
    """Report, complete, fail or release."""
    call("POST", f"/v1/jobs/{job_id}/{verb}", {"token": token, **fields})


def finish(job_id: str, **fields: Any) -> None:
    """Take and complete a job."""
    say(job_id, "complete", claim(job_id), **fields)


def fail(job_id: str, message: str) -> None:
    """Take a job and fail it for good."""
    say(job_id, "fail", claim(job_id), code="parse_failed", message=message, retryable=False)


class Worker(threading.Thread):
    """Does one thing while the client waits; `done` raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # told in the main thread
            self._error = error

    def done(self) -> None:
        """Wait for its end."""
        self.join(PATIENCE_SECONDS)
        if self._error:
            raise self._error
        assert not self.is_alive()
