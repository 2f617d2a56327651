"""`jobtrack jobs watch`: what happens to one job or to all, and why, as it happens."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import cells, descriptions
from app.cli.exits import Exit, clear_sentences, exit_code, fail
from app.cli.filters import Queues, filter_conditions
from app.cli.job_ids import whole_id
from app.cli.job_reading import events_of
from app.cli.tables import Cell, Column, Feed, print_json
from app.cli.target import AsJson, Url, address, client
from app.cli.times import is_since, since_option

if TYPE_CHECKING:
    from jobtrack_client import Job, JobtrackClient
    from jobtrack_client.job_models import Event

# What a stream does not say, a job's type and its error's message, is read for so many events a second and no more.
_READS_A_SECOND = 20
_KEPT_JOBS = 1000
_IN_PIPES = tuple(Column(name, only="pipe") for name in ("event", "from", "to", "attempt", "worker"))
_OF_ALL = (Column("at"), Column("id"), Column("type"), *_IN_PIPES, Column("what", fold=True))
_OF_ALL_WIDTHS = (8, cells.SHORT_ID, 14)
_OF_ONE = (Column("at"), Column("id", only="pipe"), Column("type", only="pipe"), *_OF_ALL[3:])
_OF_ONE_WIDTHS = (8,)


class _Jobs:
    """The jobs that a stream of all events is about, as they were last read."""

    def __init__(self, api: JobtrackClient) -> None:
        self._api = api
        self._jobs: dict[str, Job] = {}
        self._second = 0
        self._reads = 0

    def get(self, job_id: str, *, fresh: bool) -> Job | None:
        """Return the job; None if it is gone, or if it has not been read yet and too many are just now."""
        if (fresh or job_id not in self._jobs) and self._may_read():
            from jobtrack_client import JobtrackError

            try:
                found = self._api.wait_jobs([job_id], wait=0)["jobs"]
            except JobtrackError:
                # The stream goes on over an absence of the service, and reports whatever else there is.
                found = []
            for job in found:
                self._jobs[job_id] = job
                if len(self._jobs) > _KEPT_JOBS:
                    del self._jobs[next(iter(self._jobs))]
        return self._jobs.get(job_id)

    def _may_read(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._reads = second, 0
        self._reads += 1
        return self._reads <= _READS_A_SECOND


def watch(
    job_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="Watch this job (whole id, or its last 8 characters) until it has ended; default: all."
        ),
    ] = None,
    queue: Queues = None,
    since: Annotated[datetime | None, since_option("With an ID: begin with the job's events since then")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they happen: of a job until it has ended, of all jobs until Ctrl-C.

    The exit code is 1 if the job did not succeed. A restart of the service, or an absence, does not end the watch.
    With --json, print one JSON object for each event.
    """
    if job_id is None and since is not None:
        fail(Exit.USAGE, "--since needs the ID of a job: the events of all jobs are streamed from now on.")
    if job_id is not None and queue:
        fail(Exit.USAGE, "Pass the ID of a job or --queue, not both.")
    url = address(url)
    with clear_sentences(url), client(url) as api:
        if job_id is not None:
            raise typer.Exit(_watch_one(api, whole_id(api, job_id), since, as_json))
        # At once, so that a wrong address is reported sooner than a restart may take.
        api.list_jobs(limit=1, **filter_conditions(None, None, queue, None))
        feed, jobs = Feed(_OF_ALL, _OF_ALL_WIDTHS), _Jobs(api)
        for event in api.stream_events(queues=queue):
            if as_json:
                print_json({"event": event.name, "data": event.data})
            elif event.name.startswith("job."):
                job = jobs.get(event.data["job_id"], fresh=descriptions.reason_of(event.data) is not None)
                feed.print(_event_row(event.data, job))


def _watch_one(api: JobtrackClient, job_id: str, since: datetime | None, as_json: bool) -> Exit:
    past = [] if since is None else list(events_of(api, job_id))
    feed = _JobFeed(api.get_job(job_id), as_json)
    for event in past:
        if since is None or is_since(event["at"], since):
            feed.print(event["type"], event)
    # The stream begins where the list ended, so that nothing is missed or repeated in between.
    for name, data, _ in api.stream_job(job_id, cursor=past[-1]["id"] if past else None):
        feed.print(name, data)
    return exit_code([feed.latest])


class _JobFeed:
    """Prints the events of one job, and what it reports between two of them."""

    def __init__(self, job: Job, as_json: bool) -> None:
        self.latest = job
        self._as_json = as_json
        self._feed = Feed(_OF_ONE, _OF_ONE_WIDTHS)
        self._last: tuple[object, ...] | None = None

    def print(self, name: str, data: Any) -> None:
        """Print an event of the stream, or the job."""
        is_job = name in ("snapshot", "job")
        if is_job:
            self.latest = data
        if self._as_json:
            print_json({"event": name, "data": data})
        elif is_job:
            self._print_job(name)
        elif name.startswith("job.") and (self._last is None or not _is_progress(data)):
            self._feed.print(_event_row(data, self.latest))

    def _print_job(self, name: str) -> None:
        job = self.latest
        state = (job["status"], job["stage"], int(job["progress"]))
        # A change of the status comes again as an event, which says from where and why.
        if self._last is None or (state != self._last and state[0] == self._last[0]):
            row = [None, job["status"], job["attempt"], job["worker"]]
            now = descriptions.now(job)
            what = Cell(now.plain, f"{cells.status(job['status']).shown} {now.shown}")
            self._feed.print([cells.clock(job["updated_at"]), *_names(job["id"], job), name, *row, what])
        self._last = state


def _is_progress(event: Event) -> bool:
    return event["type"] == "job.progressed" and event["from"] == event["to"]


def _event_row(event: Event, job: Job | None) -> list[object]:
    step, reason = cells.change(event["from"], event["to"]), descriptions.why(event, job)
    worker = f"({event['worker']})" if event["worker"] and not _is_progress(event) else ""
    parts = (f"{step.shown}{':' if reason.shown else ''}", reason.shown, worker)
    return [
        cells.clock(event["at"]),
        *_names(event["job_id"], job),
        *(event["type"], event["from"], event["to"], event["attempt"], event["worker"]),
        Cell(reason.plain, " ".join(part for part in parts if part), step.style),
    ]


def _names(job_id: str, job: Job | None) -> tuple[object, object]:
    return cells.short_id(job_id), None if job is None else job["type"]
