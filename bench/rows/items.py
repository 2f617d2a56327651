"""Row 10: a million files on one job: writing them, reading any page of them, and the service's memory meanwhile."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import httpx

from bench.load import generator
from bench.load.connection import Request
from bench.load.loops import closed_loop
from bench.result import Result, Target, shown
from bench.session import Costs, Session, medians
from bench.store import Jobs

FILES_A_REPORT = 1_000
CONNECTIONS = 4
SLICES = 5
PAGE_READS = 40
FIRST = "the first page"
EARLY = "after the first slice"


@dataclass(frozen=True, slots=True)
class Reports(Sequence[bytes]):
    """Reports on a range of files, written when they are sent: all of them at once would fill the memory."""

    job_id: str
    token: str
    files: range
    status: str

    def __len__(self) -> int:
        return len(self.files) // FILES_A_REPORT

    @overload
    def __getitem__(self, n: int) -> bytes: ...
    @overload
    def __getitem__(self, n: slice) -> Sequence[bytes]: ...
    def __getitem__(self, n: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(n, slice):
            return [self[one] for one in range(*n.indices(len(self)))]
        chunk = self.files[n * FILES_A_REPORT : (n + 1) * FILES_A_REPORT]
        items = [{"key": f"folder-{file // 1000:04d}/file-{file:07d}.pdf", "status": self.status} for file in chunk]
        return Request.post(f"/v1/jobs/{self.job_id}/report", {"token": self.token, "items": items}).raw()


def measure(session: Session) -> Iterator[Result]:
    files = session.scale.files
    job = session.store.running(1)
    costs: Costs = {}
    added: list[float] = []
    sizes: list[float] = []
    updated: list[float] = []
    for status, rates in (("processing", added), ("completed", updated)):
        for number in range(SLICES):
            part = range(files * number // SLICES, files * (number + 1) // SLICES)
            with session.meter.measuring(costs):
                rates.append(_report(session, job, part, status))
            sizes.append(costs["RSS MB"][-1])
            session.say(10, f"{part.stop:,} files {status}: {shown(rates[-1])} item updates/s, RSS {sizes[-1]:.0f} MB")
    yield Result(
        row=10,
        name=f"Item updates, {files:,} files on one job",
        unit="items/s",
        rounds=[2 / (1 / new + 1 / old) for new, old in zip(added, updated, strict=True)],
        target=Target("at least", 40_000),
        beside={"all new": added, "all known": updated},
        costs=medians(costs),
        note=f"every file new once and updated once, {FILES_A_REPORT:,} a report, {CONNECTIONS} connections; a round "
        "is a fifth of the files",
    )
    yield from _pages(session, job)
    yield Result(
        row=10,
        name="RSS after all files",
        unit="MB",
        rounds=[sizes[-1]],
        target=Target("at most", 1.1, EARLY),
        beside={EARLY: [sizes[0]]},
    )


def _report(session: Session, job: Jobs, part: range, status: str) -> float:
    reports = Reports(job.id(0), job.token(0), part, status)
    port = session.service.port
    found = generator.run(closed_loop, port, reports, connections=CONNECTIONS, count=len(reports))
    return found.per_second * FILES_A_REPORT


def _pages(session: Session, job: Jobs) -> Iterator[Result]:
    path = f"/v1/jobs/{job.id(0)}/items"
    with session.service.client() as client:
        cursors = _walk(client, path, session.scale.files)
    places = {FIRST: path} | {
        f"page at {100 * n // 4} %": f"{path}?cursor={cursors[(len(cursors) - 1) * n // 4]}" for n in range(1, 5)
    }
    rounds: dict[str, list[float]] = {place: [] for place in places}
    for _ in range(session.scale.rounds):
        for place, at in places.items():
            raw = [Request("GET", at).raw()]
            found = generator.run(closed_loop, session.service.port, raw, connections=1, count=PAGE_READS)
            rounds[place].append(statistics.median(found.latencies) * 1000)
    slowest = max((place for place in places if place != FIRST), key=lambda place: statistics.median(rounds[place]))
    session.say(10, f"first page {rounds[FIRST][-1]:.1f} ms, {slowest} {rounds[slowest][-1]:.1f} ms")
    yield Result(
        row=10,
        name="A page of 50 files, the slowest of five places",
        unit="ms",
        rounds=rounds[slowest],
        target=Target("at most", 1.2, FIRST),
        beside={FIRST: rounds[FIRST]},
        note=f"the slowest was the {slowest}; median of {PAGE_READS} reads a round",
    )


def _walk(client: httpx.Client, path: str, files: int) -> list[str]:
    """Read all pages and give their cursors; a page that is missing or twice there would be told."""
    cursors: list[str] = []
    keys: set[str] = set()
    cursor = ""
    while True:
        page = client.get(path, params={"limit": 1000} | ({"cursor": cursor} if cursor else {})).raise_for_status()
        found = page.json()
        keys.update(item["key"] for item in found["items"])
        cursor = found["next_cursor"]
        if cursor is None:
            break
        cursors.append(cursor)
    if len(keys) != files:
        raise generator.GeneratorError(f"the pages hold {len(keys)} of {files} files")
    return cursors
