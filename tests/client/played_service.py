"""A service played by a transport: its answers by a rule, and its streams in chunks that may be cut off."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

RUNNING: dict[str, Any] = {"id": "1", "status": "running", "completed_at": None, "version": 2, "error": None}
ENDED: dict[str, Any] = {**RUNNING, "status": "completed", "completed_at": "now", "version": 3, "result": {"n": 1}}
Answer = httpx.Response | Exception


class Service(httpx.MockTransport):
    """A service that answers by its own rule and keeps the requests."""

    def __init__(self, answer: Callable[[httpx.Request, int], Answer]) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer
        super().__init__(self._next)

    def _next(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answer(request, len(self.requests))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a stream, which may be cut off."""

    def __init__(self, *chunks: bytes, cut: bool = False) -> None:
        self._chunks = chunks
        self._cut = cut

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._cut:
            raise httpx.ReadError("cut")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def frame(name: str, data: Any, event_id: str = "") -> bytes:
    id_line = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\ndata: {json.dumps(data)}\n{id_line}\n".encode()


def streamed(*frames: bytes, cut: bool = False) -> httpx.Response:
    return httpx.Response(200, stream=Chunks(b"retry: 2000\n\n", *frames, cut=cut))


def answer_of(request: httpx.Request, job: dict[str, Any], why: str) -> httpx.Response:
    """What the service answers to each way of following a job in this state."""
    path, header = request.url.path, {"Jobtrack-Wait-Ended": why}
    if path.endswith("/wait"):
        return httpx.Response(200, json={"jobs": [job], "not_found": [], "ended_by": why})
    if path.endswith("/logs"):
        lines = [{"message": "last"}] if job is ENDED else []
        return httpx.Response(200, json={"logs": lines, "next_offset": 0, "ended": job is ENDED}, headers=header)
    if path.endswith("/stream"):
        last = [frame("job", ENDED), frame("job.completed", {}, "b")] if job is ENDED else []
        return streamed(frame("snapshot", RUNNING, "a"), *last)
    if request.method == "POST":
        return httpx.Response(201, json=job)
    return httpx.Response(200, json=job, headers=header)
