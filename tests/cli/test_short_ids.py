"""Ids as tables show them: the last characters, which every command takes back."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.cli.exits import Exit
from jobtrack_client import JobtrackClient
from tests.cli.commands import UNKNOWN, reach
from tests.cli.in_process import PARAMETERS, Command, command
from tests.service_process import ServiceProcess

__all__ = ["command"]

END = "0123abcd"
JOBS = [option.command for option in PARAMETERS if option.name in ("job_id", "job_ids")]
"""Every command that takes the id of a job, those to come as well."""


@pytest.fixture
async def job_id(api: httpx.AsyncClient) -> str:
    """A job that has ended."""
    job = (await api.post("/v1/jobs", json={"type": "short"})).json()
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    return str(job["id"])


@pytest.mark.parametrize("path", JOBS, ids=" ".join)
@pytest.mark.parametrize("change", [str, str.upper], ids=["as shown", "in capitals"])
def test_every_command_takes_the_end_of_an_id(
    service: ServiceProcess, command: Command, job_id: str, path: tuple[str, ...], change: Callable[[str], str]
) -> None:
    name = path[-1]
    whole = command(*path, job_id, environment=reach(service)) if name not in ("rerun", "delete") else None
    ended = command(*path, change(job_id[-8:]), environment=reach(service))
    assert ended.code in (Exit.OK, Exit.JOB_FAILED, Exit.REFUSED), ended
    if whole is not None:
        assert ended == whole
    if name == "delete":
        assert command("jobs", "get", job_id, environment=reach(service)).code == Exit.NOT_FOUND


def _stub(ids: list[str], seen: list[httpx.URL]) -> JobtrackClient:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        if request.url.path != "/v1/jobs":
            return httpx.Response(200, json={"id": request.url.path.rpartition("/")[2]})
        limit, start = int(request.url.params["limit"]), int(request.url.params.get("cursor") or 0)
        page = [{"id": job_id, "type": "t", "status": "failed"} for job_id in ids[start : start + limit]]
        more = str(start + limit) if start + limit < len(ids) else None
        return httpx.Response(200, json={"jobs": page, "next_cursor": more})

    return JobtrackClient("http://stub", "key", transport=httpx.MockTransport(answer))


@pytest.fixture
def found(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], str], tuple[Any, list[httpx.URL]]]:
    """Runs `jobs get --json` with an argument and a list of jobs, and returns its end and what it requested."""

    def run(ids: list[str], argument: str) -> tuple[Any, list[httpx.URL]]:
        seen: list[httpx.URL] = []
        monkeypatch.setattr("app.cli.jobs.client", lambda _: _stub(ids, seen))
        return command("jobs", "get", argument, "--json"), seen

    return run


def _id(end: str) -> str:
    return f"{uuid4()}"[:-8] + end


def test_end_of_one_of_the_newest_thousand_is_found(found: Any) -> None:
    ids = [*(_id(f"{n:08x}") for n in range(999)), _id(END), _id("feedbeef")]
    ended, seen = found(ids, END)
    assert json.loads(ended.out) == {"id": ids[999]}
    assert [url.params["limit"] for url in seen[:-1]] == ["500", "500"]


def test_end_of_an_older_job_asks_for_the_whole_id(found: Any) -> None:
    ended, _ = found([*(_id(f"{n:08x}") for n in range(1000)), _id(END)], END)
    assert ended == (
        4,
        "",
        f"jobtrack: None of the newest 1,000 jobs has an id that ends in {END}: pass the whole id.\n",
    )


def test_end_of_two_ids_is_ambiguous_and_names_them(found: Any) -> None:
    ids = [_id(END) for _ in range(12)]
    ended, seen = found(ids, END)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert f"{END} is ambiguous, pass one of the whole ids: {ids[0]} (t, failed), " in ended.err
    assert ended.err.endswith(" and 2 more.\n")
    assert len(seen) == 1
    # More of its characters tell them apart.
    other, _ = found([ids[0][:-12] + "0000" + END, ids[1][:-12] + "1111" + END], f"1111{END}")
    assert other.code == 0


@pytest.mark.parametrize("text", [UNKNOWN, "nonsense", "0123abc", "0123abcg"])
def test_anything_else_is_sent_as_it_is(found: Any, text: str) -> None:
    """Scripts pass whole ids, and need not be allowed to list."""
    ended, seen = found([], text)
    assert ended.code == 0
    assert [url.path for url in seen] == [f"/v1/jobs/{text}"]
