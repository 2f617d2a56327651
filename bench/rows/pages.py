"""Row 16: the page of a job, for a reader who is signed in, beside the same job in the API."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from bench.load.connection import Request
from bench.load.throughput import drive
from bench.result import Result, Target
from bench.service import API_KEY, Service
from bench.session import Session

FILES = 1_000
FAILED = 60
"""More than a page of the list, so that the list is full."""
CONNECTIONS = 4
"""Readers at a time: a page is read by people."""


def measure(session: Session) -> Iterator[Result]:
    service = session.service
    cookie = _signed_in(service)
    running = _job(service)
    ended = _job(service, ends=True)
    cases = {
        "running": Request("GET", f"/ui/jobs/{running}", headers={"Cookie": cookie}),
        "ended": Request("GET", f"/ui/jobs/{ended}", headers={"Cookie": cookie}),
        "API": Request("GET", f"/v1/jobs/{running}"),
    }
    costs: dict[str, list[float]] = {name: [] for name in cases}
    statements: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(session.scale.rounds):
        for name, request in cases.items():
            before = session.meter.statements()
            with session.meter.spending() as spent:
                found = drive(service.port, [request], connections=CONNECTIONS, seconds=session.scale.seconds)
            costs[name].append(spent.milliseconds(found.answers))
            statements[name].append((session.meter.statements() - before) / found.answers)
        shown = ", ".join(f"{name} {costs[name][-1]:.2f} ms" for name in cases)
        session.say(16, f"round {number + 1}/{session.scale.rounds}  {shown} of processor an answer")
    size = len(service.client().get(f"/ui/jobs/{running}", headers={"Cookie": cookie}).content)
    note = f"service and database together, {CONNECTIONS} connections; {FILES:,} files, {FAILED} of them failed"
    for name, about in (("running", f"{note}; {size / 1000:.0f} KB before compression"), ("ended", note)):
        yield Result(
            row=16,
            name=f"The page of a job, {name}: processor",
            unit="ms",
            rounds=costs[name],
            beside={"GET of the same job in the API" if name == "running" else "GET in the API": costs["API"]},
            note=about,
        )
        yield Result(
            row=16,
            name=f"The page of a job, {name}: statements",
            unit="statements",
            rounds=statements[name],
            target=Target("at most", 3),
            note="of the service in all; callers at the same moment share the read of the job",
        )


def _signed_in(service: Service) -> str:
    """Begin a session, as a reader without script does; returns the cookie."""
    with httpx.Client(base_url=service.url, headers={"Origin": service.url}, trust_env=False) as browser:
        answer = browser.post("/sign-in", data={"key": API_KEY})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise RuntimeError(f"signing in was answered with {answer.status_code}")
        ((name, value),) = browser.cookies.items()
    # Its name has the port by which the browser knows the service, and not every generator names one.
    prefix = name.rpartition("_")[0]
    return f"{prefix}_{service.port}={value}; {prefix}_80={value}"


def _job(service: Service, *, ends: bool = False) -> str:
    """A job with files, of which some failed, in the hands of a worker or completed."""
    with service.client() as client:
        claim = {"worker": "bench", "lease_seconds": 3_600}
        created = {"type": "index", "queue": "pages", "labels": {"team": "search"}, "claim": claim}
        job = client.post("/v1/jobs", json=created | {"payload": {"folder": "/data/in"}}).raise_for_status().json()
        items = [
            {"key": f"reports/{n:04}.pdf", "status": "completed"}
            if n >= FAILED
            else {"key": f"reports/{n:04}.pdf", "status": "failed", "error_code": f"code_{n % 5}", "message": "torn"}
            for n in range(FILES)
        ]
        token = job["lease"]["token"]
        report = {"token": token, "stage": "reading", "progress": 40, "items": items}
        client.post(f"/v1/jobs/{job['id']}/report", json=report).raise_for_status()
        if ends:
            client.post(f"/v1/jobs/{job['id']}/complete", json={"token": token}).raise_for_status()
        return str(job["id"])
