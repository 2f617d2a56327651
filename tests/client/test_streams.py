"""A stream that stops is no job that has ended."""

import json

import httpx
import pytest

from jobtrack_client import AsyncJobtrackClient, CursorExpired, JobtrackClient, Unauthorized

RUNNING: dict[str, str | None] = {"id": "1", "completed_at": None}
ENDED: dict[str, str | None] = {"id": "1", "completed_at": "2030-01-01T00:00:00.000Z"}


def answers(*jobs: dict[str, str | None]) -> httpx.MockTransport:
    """Answer with a stream for each job, that ends in good order; then with 401."""
    left = list(jobs)

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        if not left:
            return httpx.Response(401, json={"detail": "gone", "code": "unauthorized"})
        event = f"retry: 1\n\nevent: job\ndata: {json.dumps(left.pop(0))}\n\n"
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, text=event)

    return httpx.MockTransport(answer)


def test_stream_of_a_job_goes_on_until_the_job_has_ended() -> None:
    with JobtrackClient("http://t", "k", transport=answers(RUNNING, ENDED, RUNNING)) as client:
        assert [event.data for event in client.stream_job("1")] == [RUNNING, ENDED]


def test_stream_that_stops_before_its_job_says_why() -> None:
    with JobtrackClient("http://t", "k", transport=answers(RUNNING)) as client, pytest.raises(Unauthorized):
        list(client.stream_job("1"))


async def test_asynchronous_stream_goes_on_until_the_job_has_ended() -> None:
    async with AsyncJobtrackClient("http://t", "k", transport=answers(RUNNING, ENDED, RUNNING)) as client:
        assert [event.data async for event in client.stream_job("1")] == [RUNNING, ENDED]


def frame(name: str, event_id: str = "") -> str:
    return f"retry: 1\n\nevent: {name}\ndata: {{}}\n" + (f"id: {event_id}\n\n" if event_id else "\n")


def test_stream_goes_on_from_its_new_beginning_in_another_cluster() -> None:
    """Also where it is cut off before it has begun anew: the service sends `reset` again then."""
    connections = [frame("snapshot", "old"), frame("reset"), frame("reset") + frame("snapshot", "new")]
    resumed: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        resumed.append(request.headers.get("Last-Event-ID"))
        if not connections:
            return httpx.Response(410, json={"detail": "of another cluster", "code": "cursor_expired"})
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, text=connections.pop(0))

    with (
        JobtrackClient("http://t", "k", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(CursorExpired),
    ):
        list(client.stream_events())
    assert resumed == [None, "old", "old", "new"]
