"""The benchmark's own words: a report that keeps what was measured before must read it back as it was."""

import asyncio
import json
import os
import statistics
from pathlib import Path
from typing import Any, cast

import pytest

from app.embedded import EmbeddedPostgres
from bench import database, report, wal
from bench.bounds import BOUNDS
from bench.figures import ROWS
from bench.load.connection import Connection, Request
from bench.load.generator import Channel, GeneratorError
from bench.load.holding import hold
from bench.load.loops import open_loop
from bench.load.working import Worker
from bench.meter import Spent, longest, spending
from bench.options import QUICK_ROWS, SCALES, Options
from bench.peers.program import Tally
from bench.report import PAGE, RESULTS
from bench.result import Line, Omission, Point, Result, Target, quantile
from bench.rows import peers
from bench.rows.sides import Rounds
from bench.run import GROUPS, Run
from bench.session import Session
from bench.takeaways import MISSING, takeaways

ROOT = Path(__file__).parents[1]

RESULT = Result(
    row=1,
    name="GET",
    unit="requests/s",
    rounds=[4.0, 2.0, 3.0],
    target=Target("at least", 0.5, "bare"),
    beside={"bare": [5.0, 8.0, 6.0], "naive": [1.0, 1.0, 1.0]},
    costs={"server cores": 0.9},
    note="by wrk",
)


@pytest.mark.parametrize("target", [None, Target("at most", 3), Target("at least", 0.5, "bare")])
def test_result_is_read_back_as_it_was(target: Target | None) -> None:
    result = Result(**{name: getattr(RESULT, name) for name in RESULT.__slots__} | {"target": target})
    assert Result.of(json.loads(json.dumps(result.document()))) == result


def test_line_is_read_back_as_it_was() -> None:
    line = Line(row=6, plot="wakes", name="p50", points=[Point.of(10, [3, 1, 2]), Point.of(20, [4])])
    assert Line.of(json.loads(json.dumps(line.document()))) == line


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert RESULT.ratio("bare") == statistics.median([4 / 5, 2 / 8, 3 / 6])
    assert RESULT.reached
    assert RESULT.verdict == "reached, 0% to spare"


def test_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([5, 1, 4, 2, 3], 0.5) == 3
    assert quantile([5, 1, 4, 2, 3], 0.99) == 5


def test_every_row_says_what_bounds_it_and_was_measured_at_full_size() -> None:
    assert BOUNDS.keys() == ROWS.keys()
    assert all(BOUNDS.values())
    assert ROWS.keys() > QUICK_ROWS
    kept = json.loads(RESULTS.read_text())
    assert kept["mode"] == "full"
    assert {int(row) for row in kept["rows"]} == ROWS.keys()


def test_every_row_is_measured_by_a_module() -> None:
    assert frozenset().union(*(group.rows for group in GROUPS)) == ROWS.keys()


def test_latency_beside_waits_is_a_median_of_seven_pairs_at_full_size() -> None:
    assert SCALES["full"].pairs >= 7


def test_first_ten_lines_of_the_page_say_what_its_figures_are() -> None:
    kept = json.loads(RESULTS.read_text())
    results = {int(row): [Result.of(found) for found in told["results"]] for row, told in kept["rows"].items()}
    lines = takeaways(results)
    assert _page()[:10] == PAGE.read_text().splitlines()[:10] == ["# Performance", "", *lines]
    # A figure that is renamed where it is measured would vanish here.
    assert [line for line in lines if MISSING in line] == []


def test_page_says_what_was_left_out_and_why() -> None:
    sentence = "Not measured: Others. They are away.\n"
    away = Omission(15, "Others", "They are away.")
    measured = Result(row=15, name="Work off", unit="jobs/s", rounds=[1])
    assert sentence in _page(measured, away)
    # A run that cannot measure a row keeps what was measured before.
    assert sentence not in _page(away)


def _page(*found: Result | Omission) -> list[str]:
    """The page of a run that came to nothing else; the other rows are as they were."""
    options = Options(mode="full", rows=frozenset(), scale=SCALES["full"], directory=ROOT, report=True)
    results = [result for result in found if isinstance(result, Result)]
    run = Run(options, results, omissions=[left for left in found if isinstance(left, Omission)])
    return list(report.page(run, report.measured(run), []))


def test_takeaways_name_the_best_whoever_it_is() -> None:
    name = "Work off: processor a job"
    slower = Result(row=15, name=name, unit="µs", rounds=[50], beside={"pgqueuer 1": [20], "saq 1": [900]})
    faster = Result(row=15, name=name, unit="µs", rounds=[10], beside={"pgqueuer 1": [20], "saq 1": [900]})
    assert any("work off 50 µs (pgqueuer 1: 20)" in line for line in takeaways({15: [slower]}))
    assert any("work off 10 µs (the least)" in line for line in takeaways({15: [faster]}))


def test_takeaways_say_which_rows_miss_their_figures() -> None:
    reached = Result(row=1, name="GET of live jobs", unit="/s", rounds=[4], target=Target("at least", 3))
    missed = Result(row=8, name="Create", unit="/s", rounds=[4], target=Target("at least", 5))
    assert takeaways({1: [reached], 8: [missed]})[-1] == (
        "- Of 2 figures asked for 1 are reached; the others are in rows 8."
    )


def test_peers_that_are_not_installed_leave_the_row_out_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PYTHON", ROOT / "nowhere" / "python")
    [found] = peers.measure(cast("Session", None))
    assert isinstance(found, Omission)
    assert "make bench-full" in found.why


def test_peers_are_pinned_and_no_part_of_the_service() -> None:
    locked = {line.split("==")[0].split("[")[0] for line in _lock("peers") if line[0].isalpha()}
    assert locked >= {*peers.PEERS}
    assert not {*peers.PEERS} & {line.split("==")[0] for line in _lock("server")}
    assert all((ROOT / "bench" / "peers" / f"use_{package}.py").is_file() for package in peers.PEERS)


def _lock(name: str) -> list[str]:
    return [line for line in (ROOT / "requirements" / f"{name}.lock").read_text().splitlines() if line]


def test_longest_pause_is_the_bound_of_the_highest_bucket_that_was_filled_meanwhile() -> None:
    before = {0.01: 5.0, 0.025: 5.0, 0.5: 6.0}
    assert longest(before, before) == 0
    assert longest(before, {0.01: 7.0, 0.025: 8.0, 0.5: 9.0}) == 0.025


def test_cost_of_a_job_is_all_that_was_used_over_all_jobs() -> None:
    spent = Spent(service=0.2, database=0.1)
    assert spent.milliseconds(1000) == pytest.approx(0.3)
    assert spent.microseconds(1000) == {"service µs each": pytest.approx(200), "database µs each": pytest.approx(100)}
    kept = Rounds()
    kept.note(1000, 2.0, 0.1, 0.2)
    assert kept.rates == [500]
    assert kept.costs == [pytest.approx(300)]
    assert kept.parts(("process", "database")) == "100 process + 200 database"


async def test_tally_tells_when_as_many_jobs_as_were_loaded_have_run() -> None:
    tally = Tally()
    tally.expect(2)
    await tally.run(-1)
    assert not tally.reached.is_set()
    await tally.run(-1)
    assert tally.reached.is_set()
    assert tally.done == 2


def test_wal_of_a_job_counts_no_full_page_images(server: EmbeddedPostgres) -> None:
    url = server.admin_url
    database.run(url, "CREATE TABLE bench_pages AS SELECT n FROM generate_series(1, 200) AS n", "CHECKPOINT")
    with spending(os.getpid(), _server_pid(server), url) as spent:
        # The first change after a checkpoint logs the whole page.
        database.run(url, "UPDATE bench_pages SET n = 0 WHERE n = 1")
    database.run(url, "DROP TABLE bench_pages")
    all_bytes = database.value(url, "SELECT ($2::text::pg_lsn - $1::text::pg_lsn)::int", spent.wal_from, spent.wal_to)
    written = wal.written(url, spent)
    assert 0 <= written.least < all_bytes / 4
    # Where there is no pg_walinspect the page says both: all of it, and what it is at least.
    assert written.most == (written.least if wal.inspected(url) else all_bytes)


def _server_pid(server: EmbeddedPostgres) -> int:
    """The server process whose children are all the others."""
    folder = database.value(server.admin_url, "SHOW data_directory")
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


class EndAtOnce:
    """The benchmark's end of a generator's pipe: it expects all answers as soon as all waits are open."""

    def __init__(self, answers: int) -> None:
        self._answers = answers

    def send(self, said: object) -> None:
        """Nobody listens."""

    async def receive(self) -> int:
        return self._answers


async def test_waits_that_a_server_cuts_are_told_and_not_begun_again_for_ever() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        raw = [Request("GET", "/").raw()] * 5_000
        with pytest.raises(GeneratorError, match="cut or unanswered"):
            await hold(cast("Channel", EndAtOnce(4)), port, raw, at_once=4)
        with pytest.raises(GeneratorError, match="cut or unanswered"):
            (await open_loop(None, port, raw, rate=1_000_000, count=5_000, connections=4)).latencies()
    # A connection that begins again on being cut ends in a RecursionError.
    assert errors == []


async def test_worker_with_claim_in_complete_takes_its_next_job_from_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [{"id": f"job-{n}", "lease": {"token": f"token-{n}"}} for n in range(3)]
    calls: list[tuple[str, dict[str, Any]]] = []

    async def answer(_: Worker, path: str, document: dict[str, Any]) -> dict[str, Any]:
        calls.append((path, document))
        claimed = waiting[:1] if path == "/v1/claims" or "claim" in document else []
        del waiting[: len(claimed)]
        return {"jobs": claimed, "claimed": claimed}

    monkeypatch.setattr(Worker, "_post", answer)
    worker = Worker(cast("Connection", None), "worker-1", "bench", report=False)
    assert [await worker.fused() for _ in range(4)] == [1, 1, 1, 0]
    assert [path for path, _ in calls] == [
        "/v1/claims",
        *(f"/v1/jobs/job-{n}/complete" for n in range(3)),
        "/v1/claims",
    ]
    # The API wants no worker there: it is the ended job's.
    assert calls[1][1]["claim"] == {"queues": ["bench"], "max": 1, "lease_seconds": 300}
    assert [document["token"] for _, document in calls[1:4]] == ["token-0", "token-1", "token-2"]
