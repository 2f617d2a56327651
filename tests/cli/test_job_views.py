"""What the commands show of jobs to people: what happened and why, on 80 columns and on 60."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from rich.cells import cell_len

from app.cli.exits import Exit
from jobtrack_client import JobtrackClient
from tests.cli.commands import reach
from tests.cli.in_process import COMMANDS, Command, Ended, command
from tests.service_process import ServiceProcess

__all__ = ["command"]

HOSTILE = "[/x] \x1b[2J\u202e日本語 " * 8
WORKER = "vm-12.internal:14809"
Post = Callable[..., Any]


@pytest.fixture
def post(service: ServiceProcess) -> Iterator[Post]:
    """Posts a body to a path, and returns the answer."""
    headers = {"Authorization": f"Bearer {service.api_key}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=30) as client:

        def send(path: str, **body: Any) -> Any:
            answer = client.post(path, json=body)
            assert answer.is_success, answer.text
            return answer.json()

        yield send


def _held(post: Post, **fields: Any) -> tuple[str, str]:
    job = post("/v1/jobs", **{"type": "t", "engine": "x", "claim": {"worker": WORKER}, **fields})
    return job["id"], job["lease"]["token"]


def _fits(ended: Ended, columns: int) -> list[str]:
    lines = ended.out.splitlines()
    assert ended.code in (Exit.OK, Exit.JOB_FAILED), ended
    assert all(line.isprintable() for line in lines)
    assert max(map(cell_len, lines)) <= columns
    return lines


@pytest.fixture
def hostile(post: Post) -> tuple[str, str]:
    """The queue and the id of a job all of whose texts are hostile."""
    queue = f"{uuid4()}" + "日本語" * 60
    job_id, token = _held(post, type="日本語の仕事" * 30, queue=queue)
    items = [
        {"key": HOSTILE, "status": "failed", "error_code": HOSTILE, "error_message": HOSTILE * 20},
        {"key": "\t\n", "status": "skipped", "skip_reason": "unchanged"},
    ]
    logs = [{"level": "info", "message": HOSTILE}]
    post(f"/v1/jobs/{job_id}/report", token=token, stage=HOSTILE, message=HOSTILE, items=items, logs=logs)
    post(f"/v1/jobs/{job_id}/fail", token=token, code=HOSTILE, message=HOSTILE * 9, retryable=False)
    return queue, job_id


@pytest.mark.parametrize("columns", [80, 60])
def test_views_fit_and_act_on_nothing(
    service: ServiceProcess, command: Command, hostile: tuple[str, str], columns: int
) -> None:
    queue, job_id = hostile
    for arguments in (
        ("jobs", "list", "--queue", queue),
        ("jobs", "files", job_id),
        ("jobs", "events", job_id),
        ("jobs", "watch", job_id),
        ("jobs", "watch", job_id, "--since", "1h"),
        ("queues", "list"),
        ("keys", "list"),
        ("config", "show"),
    ):
        assert _fits(command(*arguments, environment=reach(service), columns=columns), columns)
    for arguments in (("jobs", "get", job_id), ("jobs", "wait", job_id), ("jobs", "logs", job_id)):
        shown = command(*arguments, environment=reach(service), columns=columns)
        assert all(line.isprintable() for line in shown.out.splitlines()), arguments


def test_list_shows_short_ids_states_ages_and_why(service: ServiceProcess, command: Command, post: Post) -> None:
    queue = f"{uuid4()}"
    failed, token = _held(post, queue=queue, type="index_folder")
    post(f"/v1/jobs/{failed}/fail", token=token, code="s3_down", message="gone", retryable=False)
    due = (datetime.now(UTC) + timedelta(hours=3, minutes=1)).isoformat()
    later = post("/v1/jobs", type="index_folder", queue=queue, scheduled_at=due)["id"]
    shown = command("jobs", "list", "--queue", queue, environment=reach(service), columns=60)
    head, first, second = _fits(shown, 60)
    assert head.split() == ["id", "status", "type", "done", "created", "detail"]
    assert first.split()[:3] == [later[-8:], "○", "pending"]
    assert first.rstrip().endswith("s ago  due in 3 h")
    assert second.split()[:3] == [failed[-8:], "✗", "failed"]
    assert second.rstrip().endswith("s3_down")
    piped = command("jobs", "list", "--queue", queue, environment=reach(service))
    assert piped.out.splitlines()[1].split("\t")[:5] == [failed, "failed", "index_folder", queue, "0"]
    detail = command("jobs", "get", later, environment=reach(service), columns=80).out
    assert "due:        " in detail
    assert "(in 3 h)" in detail


def test_files_show_the_message_beside_the_code(service: ServiceProcess, command: Command, post: Post) -> None:
    job_id, token = _held(post)
    items = [
        {"key": "a", "status": "failed", "error_code": "broken", "error_message": "No xref table"},
        {"key": "b", "status": "skipped", "skip_reason": "unchanged"},
        {"key": "c", "status": "processing", "stage": "ocr", "message": "page 3"},
    ]
    post(f"/v1/jobs/{job_id}/report", token=token, items=items)
    piped = command("jobs", "files", job_id, environment=reach(service)).out
    assert piped == "a\tfailed\t\tbroken: No xref table\nb\tskipped\t\tunchanged\nc\tprocessing\tocr\tpage 3\n"
    shown = _fits(command("jobs", "files", job_id, environment=reach(service), columns=60), 60)
    assert "✗ failed" in shown[1]
    assert shown[1].rstrip().endswith("broken: No xref table")


def _claimed(post: Post, queue: str) -> str:
    (job,) = post("/v1/claims", worker=WORKER, queues=[queue], wait=20)["jobs"]
    return str(job["lease"]["token"])


def _story(post: Post) -> str:
    """A job that fails twice, the second time for good."""
    queue = f"{uuid4()}"
    job_id = str(post("/v1/jobs", type="t", queue=queue, retry={"delay_seconds": 0}, max_attempts=2)["id"])
    token = _claimed(post, queue)
    post(f"/v1/jobs/{job_id}/report", token=token, stage="parse", progress=42)
    post(f"/v1/jobs/{job_id}/fail", token=token, code="s3_slow", message="No answer")
    token = _claimed(post, queue)
    post(f"/v1/jobs/{job_id}/fail", token=token, code="s3_down", message="The bucket is gone")
    return job_id


def test_events_say_from_where_to_where_by_whom_and_why(service: ServiceProcess, command: Command, post: Post) -> None:
    job_id = _story(post)
    piped = command("jobs", "events", job_id, environment=reach(service)).out
    assert [line.split("\t")[1:] for line in piped.splitlines()] == [
        ["job.created", "0", "", "pending", "", "created"],
        ["job.claimed", "1", "pending", "dispatched", WORKER, ""],
        ["job.progressed", "1", "dispatched", "running", WORKER, "parse, 42 %"],
        ["job.retrying", "1", "running", "retrying", WORKER, "s3_slow"],
        ["job.claimed", "2", "retrying", "dispatched", WORKER, ""],
        ["job.failed", "2", "dispatched", "failed", WORKER, "s3_down: The bucket is gone"],
    ]
    shown = " ".join(_fits(command("jobs", "events", job_id, environment=reach(service), columns=80), 80))
    assert "dispatched → ✗ failed" in shown
    assert "running → ↻ retrying" in shown
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert command("jobs", "events", job_id, "--since", ahead, environment=reach(service)) == (
        0,
        "",
        "The job has no such events.\n",
    )


def test_watch_says_what_happened_since_and_exits_by_the_end(
    service: ServiceProcess, command: Command, post: Post
) -> None:
    job_id = _story(post)
    watched = command("jobs", "watch", job_id[-8:], "--since", "1h", environment=reach(service), columns=80)
    assert watched.code == Exit.JOB_FAILED
    lines = _fits(watched, 80)
    assert "running → ↻ retrying: s3_slow" in lines[3]
    assert "dispatched → ✗ failed: s3_down: The bucket is gone" in lines[5]
    assert sum(line[0] != " " for line in lines) == 6
    events = command("jobs", "watch", job_id, "--since", "1h", "--json", environment=reach(service)).out
    assert [json.loads(line)["event"] for line in events.splitlines()][-1] == "job.failed"
    whole = command("jobs", "watch", "--since", "1h", environment=reach(service))
    assert (whole.code, whole.err) == (
        Exit.USAGE,
        "jobtrack: --since needs the ID of a job: the events of all jobs are streamed from now on.\n",
    )


def test_watch_of_all_jobs_names_type_stage_progress_and_error(
    service: ServiceProcess, command: Command, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = f"{uuid4()}"
    begun = threading.Event()
    streamed = JobtrackClient.stream_events

    def until_the_end(self: JobtrackClient, **options: Any) -> Iterator[Any]:
        for event in streamed(self, **options):
            begun.set()
            yield event
            if event.name == "job.failed":
                return

    def work() -> None:
        assert begun.wait(30)
        job_id, token = _held(post, type="index_folder", queue=queue)
        post(f"/v1/jobs/{job_id}/report", token=token, stage=HOSTILE, progress=50)
        post(f"/v1/jobs/{job_id}/fail", token=token, code="s3_down", message="The bucket is gone", retryable=False)

    monkeypatch.setattr(JobtrackClient, "stream_events", until_the_end)
    worker = threading.Thread(target=work)
    worker.start()
    lines = _fits(command("jobs", "watch", "--queue", queue, environment=reach(service), columns=80), 80)
    worker.join()
    text = " ".join(word for line in lines for word in line.split())
    assert "index_folder pending → ● dispatched" in text
    assert "50 %" in text
    assert "running → ✗ failed: s3_down: The bucket is gone" in text


def test_list_asks_for_no_more_than_it_shows(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(int(request.url.params["limit"]))
        name = "items" if request.url.path.endswith("/items") else "jobs"
        return httpx.Response(200, json={name: [{"key": "a"}] * seen[-1], "next_cursor": "more"})

    stub = httpx.MockTransport(answer)
    monkeypatch.setattr("app.cli.job_reading.client", lambda _: JobtrackClient("http://stub", "key", transport=stub))
    for arguments in (("list",), ("files", "x")):
        for limit, expected in (("1", [1]), ("1200", [500, 500, 200])):
            seen.clear()
            ended = command("jobs", *arguments, "--limit", limit, "--json")
            assert (seen, len(next(iter(json.loads(ended.out).values())))) == (expected, int(limit))


def test_since_and_collection_select_jobs(service: ServiceProcess, command: Command, post: Post) -> None:
    queue = f"{uuid4()}"
    first = post("/v1/jobs", type="t", queue=queue, collection="a")["id"]
    created = post("/v1/jobs", type="t", queue=queue, collection="b")

    def listed(*options: str) -> list[str]:
        ended = command("jobs", "list", "--queue", queue, "--json", *options, environment=reach(service))
        return [job["id"] for job in json.loads(ended.out)["jobs"]]

    assert listed("--since", "1h") == [created["id"], first]
    assert listed("--collection", "a") == [first]
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert listed("--since", ahead) == []
    for change in ("cancel", "rerun"):
        status = "pending" if change == "cancel" else "cancelled"
        options = ("--queue", queue, "--status", status, "--yes", "--json")
        assert command("jobs", change, *options, "--since", ahead, environment=reach(service)).out.startswith(
            '{"matched": 0'
        )
        assert command("jobs", change, *options, "--since", "1h", environment=reach(service)).out.startswith(
            '{"matched": 2'
        )


def test_logs_since_then_alone(service: ServiceProcess, command: Command, post: Post) -> None:
    job_id, token = _held(post)
    for message in ("old", "new"):
        post(f"/v1/jobs/{job_id}/report", token=token, logs=[{"level": "info", "message": message}])
    lines = command("jobs", "logs", job_id, "--json", environment=reach(service)).out.splitlines()
    shown = command("jobs", "logs", job_id, "--since", json.loads(lines[1])["at"], environment=reach(service)).out
    assert shown.split()[-1] == "new"
    assert len(shown.splitlines()) == 1


def test_no_rows_are_a_sentence(service: ServiceProcess, command: Command) -> None:
    for columns in (None, 60):
        ended = command("jobs", "list", "--queue", f"{uuid4()}", environment=reach(service), columns=columns)
        assert ended == (0, "", "No job matches.\n")


WITHOUT_JSON = {
    # Its options are those of `python -m jobtrack_client worker`, and what it says goes to the log.
    "worker",
    # A file, a shell, and a link: nothing that a program would take apart.
    "backup",
    "restore",
    "psql",
    "open",
}


def test_every_command_takes_json() -> None:
    found = {path for path, leaf in COMMANDS.items() if "as_json" not in {p.name for p in leaf.params}}
    assert found == {path for path in COMMANDS if " ".join(path) in WITHOUT_JSON}


def test_what_is_deleted_is_said_in_json(service: ServiceProcess, command: Command, post: Post) -> None:
    job_id, token = _held(post)
    post(f"/v1/jobs/{job_id}/complete", token=token)
    queue = f"{uuid4()}"
    command("queues", "set", queue, "--concurrency-limit", "1", environment=reach(service))
    key = json.loads(command("keys", "create", "x", "--scope", "read", "--json", environment=reach(service)).out)
    for arguments, answer in (
        (("jobs", "delete", job_id), {"deleted": job_id}),
        (("queues", "delete", queue), {"deleted": queue}),
        (("keys", "revoke", key["id"]), {"revoked": key["id"]}),
    ):
        assert json.loads(command(*arguments, "--json", environment=reach(service)).out) == answer
