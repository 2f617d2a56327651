"""The stream of a job's page, read as the page's script reads it: parts that changed, and an end."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import httpx
import pytest
from fastapi import Request

from app.dashboard.job.live import job_frames, together
from app.domain.errors import NotFoundError
from app.domain.job import JobRef
from app.domain.principal import Principal, Scope
from app.web.deps import Services
from tests.dashboard.jobs import call, claim, create, failed_job


class Frames:
    """Reads the stream frame by frame."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()
        self.parts: dict[str, str] = {}
        """What stands in each part of the page."""
        self.ended = False

    async def next(self) -> list[str]:
        """Read a frame; returns the parts that it replaces."""
        name, text = "", list[str]()
        async for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                text.append(value)
            elif not line and text:
                break
        else:
            return []
        self.ended = self.ended or name == "job-ended"
        parts = re.findall(r'<hx-partial hx-target="#job-(\w+)"[^>]*>(.*?)</hx-partial>', "\n".join(text), re.DOTALL)
        self.parts.update(parts)
        return [part for part, _ in parts]

    async def until(self, text: str) -> None:
        """Read until a part shows a text."""
        while not any(text in shown for shown in self.parts.values()):
            assert await self.next() or self.ended, f"no {text!r} in {self.parts}"


@asynccontextmanager
async def live(reader: httpx.AsyncClient, job: str) -> AsyncIterator[Frames]:
    async with asyncio.timeout(30), reader.stream("GET", f"/ui/jobs/{job}/live") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Frames(answer)


async def test_parts_change_with_the_job_and_end_with_it(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str
) -> None:
    job = await create(api, queue, items=[{"key": key} for key in "abcd"])
    async with live(reader, job) as frames:
        assert set(await frames.next()) == {"sentence", "bar", "stages", "life", "actions"}
        assert "Waiting: " in frames.parts["sentence"]
        token = await claim(api, queue)
        await frames.until("w2 took the job")
        await call(api, job, "report", token, stage="reading", items=[{"key": "a", "status": "failed"}])
        await frames.until("Running: reading, 1 of 4 files, 1 failed")
        actions = frames.parts["actions"]
        await call(api, job, "report", token, items=[{"key": "b", "status": "completed"}])
        changed = await frames.next()
        assert "bar" in changed
        assert not {"life", "actions"}.intersection(changed), "what has not changed is left alone"
        assert frames.parts["actions"] is actions
        await call(api, job, "complete", token)
        await frames.until("Completed with failures")
        assert "data-ended" in frames.parts["actions"]
        assert "rerun-failed" in frames.parts["actions"]
        assert "reading" in frames.parts["stages"]
        assert await frames.next() == []
        assert frames.ended, "the page connects again unless it is told that nothing can come"


async def test_stream_of_an_ended_job_says_so(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    job = await failed_job(api, queue)
    async with live(reader, job) as frames:
        await frames.until("Failed after 1 of 3 attempts")
        assert "reading" in frames.parts["stages"]
        await frames.next()
        assert frames.ended


async def test_stream_of_a_deleted_job_says_so() -> None:
    class Gone:
        async def get(self, *_: object) -> None:
            raise NotFoundError("There is no such job.")

    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "state": {}})
    services = cast("Services", SimpleNamespace(jobs=Gone()))
    caller = Principal(UUID(int=1), "k", "ops", frozenset({Scope.READ}))
    frames = [frame.decode() async for frame in job_frames(request, services, caller, JobRef(UUID(int=1), UUID(int=2)))]
    assert "This job has been deleted." in frames[0]
    assert frames[1].startswith("event: job-ended")


async def test_cancel_and_rerun_from_the_page(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    job = await create(api, queue)
    answer = await reader.post(f"/ui/jobs/{job}/cancel", headers={"HX-Request": "true"})
    assert "The job is cancelled." in answer.text
    assert re.search(r'hx-target="#job-sentence".*Cancelled by key first key', answer.text, re.DOTALL)
    assert "job-stages" not in answer.text, "only the stream knows them"
    rerun = await reader.post(f"/ui/jobs/{job}/rerun", data={"x": ""})
    again = rerun.headers["hx-redirect"].rpartition("/")[2]
    assert (await api.get(f"/v1/jobs/{again}")).json()["original_job_id"] == job
    deleted = await reader.post(f"/ui/jobs/{job}/delete")
    assert deleted.headers["hx-redirect"] == "/ui/jobs"
    assert (await api.get(f"/v1/jobs/{job}")).status_code == 404
    refused = await reader.post(f"/ui/jobs/{again}/delete", headers={"HX-Request": "true"})
    assert (refused.status_code, refused.headers["hx-retarget"]) == (409, "#notes")


async def test_rerun_of_the_failed_files_alone(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    job = await failed_job(api, queue)
    answer = await reader.post(f"/ui/jobs/{job}/rerun", data={"only_failed": "yes"})
    again = answer.headers["hx-redirect"].rpartition("/")[2]
    items = (await api.get(f"/v1/jobs/{again}/items")).json()["items"]
    assert [item["key"] for item in items] == ["b"]


async def test_run_again_with_changes(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    job = await failed_job(api, queue)
    form = (await reader.get(f"/ui/jobs/{job}/again")).text
    assert "&#34;a&#34;: 1" in form
    changed = {"type": "other", "queue": f"{queue}-2", "payload": '{"a": 2.50, "b": "ü"}'}
    answer = await reader.post(f"/ui/jobs/{job}/again", data=changed)
    again = (await api.get(f"/v1{answer.headers['hx-redirect'].removeprefix('/ui')}")).json()
    assert (again["type"], again["queue"], again["payload"]) == ("other", f"{queue}-2", {"a": 2.5, "b": "ü"})
    assert again["labels"] == {"team": "search"}
    assert again["original_job_id"] is None
    emptied = await reader.post(f"/ui/jobs/{job}/again", data={**changed, "payload": " "})
    assert (await api.get(f"/v1{emptied.headers['hx-redirect'].removeprefix('/ui')}")).json()["payload"] is None


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("payload", '{"a": ', "The payload is not JSON: Expecting value (line 1, column 6)."),
        ("payload", "NaN", "The payload is not JSON."),
        ("payload", "[" * 100_000, "The payload"),
        ("payload", "[" * 70 + "]" * 70, "The payload is nested deeper than 64 levels."),
        ("payload", '"\\u0000"', "Text may hold no NUL"),
        ("payload", '"\\ud800"', "half of a surrogate pair"),
        ("payload", f'"{"x" * 1_100_000}"', "The payload is longer than 1048576 bytes."),
        ("queue", "", "This takes 1 to 255 characters."),
        ("queue", "x" * 256, "This takes 1 to 255 characters."),
        ("queue", "a/../b", "The name of a queue has no part"),
        ("type", "a\x1bb", "A name holds no control characters."),
    ],
)
async def test_faults_of_the_form_are_shown_in_it(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str, field: str, value: str, fault: str
) -> None:
    job = await create(api, queue)
    form = {"type": "index", "queue": queue, "payload": "1", field: value}
    answer = await reader.post(f"/ui/jobs/{job}/again", data=form)
    assert answer.status_code == 422
    assert fault in answer.text
    assert f'aria-describedby="fault-{field}"' in answer.text
    assert 'id="again-form"' in answer.text


async def test_long_payload_goes_along_unseen(api: httpx.AsyncClient, reader: httpx.AsyncClient, queue: str) -> None:
    payload = {"text": "y" * 300_000}
    job = await create(api, queue, payload=payload)
    form = (await reader.get(f"/ui/jobs/{job}/again")).text
    assert len(form) < 5_000
    assert 'name="same_payload"' in form
    answer = await reader.post(f"/ui/jobs/{job}/again", data={"type": "index", "queue": queue, "same_payload": "yes"})
    again = await api.get(f"/v1{answer.headers['hx-redirect'].removeprefix('/ui')}")
    assert again.json()["payload"] == payload


async def test_what_comes_at_once_is_shown_together() -> None:
    async def source() -> AsyncGenerator[int, None]:
        for number in range(100):
            yield number

    async with asyncio.timeout(30):
        assert [batch async for batch in together(source(), 20)] == [list(range(100))]


async def test_what_nothing_follows_is_shown_soon() -> None:
    closed = False

    async def source() -> AsyncGenerator[int, None]:
        nonlocal closed
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed = True

    async with asyncio.timeout(30), aclosing(together(source(), 0.01)) as batches:
        assert await anext(batches) == [1]
    assert closed
