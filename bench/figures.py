"""The figures that the service is to reach, row by row, in the words in which they were asked for."""

# ruff: noqa: RUF001
# The multiplication sign is meant.

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    work: str
    figure: str


ROWS = {
    1: Row(
        "GET of live jobs, 10,000 distinct ids, 64 connections, one process, with authentication",
        "not below 0.34 of bare ASGI, 0.40 is the goal; the naive route beside it; p99 at half load ≤ 15 ms",
    ),
    2: Row(
        "GET of terminal jobs (they never change), 10,000 ids",
        "not below 0.35 of bare ASGI, 0.45 is the goal; "
        "a deleted or pruned one is served by no process longer than 1 s, feed or no feed",
    ),
    3: Row("Unchanged GET with `If-None-Match`", "≥ row 1, body empty, no payload read"),
    4: Row("100 jobs in one call", "≥ 20 × the naive route and ≥ 2.5 × row 1, in jobs per second"),
    5: Row(
        "10,000 open waits in one process",
        "≤ 25 KB each; ≤ 3 statements per second in all while nothing changes; live GET p99 ≤ 2 × its value without "
        "them, medians of at least 7 interleaved pairs; longest pause of the collector ≤ 25 ms",
    ),
    6: Row(
        "Completion over HTTP to the answer of a wait, 10,000 waiters, 500 completions/s",
        "p50 ≤ 10 ms, p99 ≤ 60 ms; against polling at 1,000 waiters ≥ 20 × lower median, ≥ 50 × fewer statements",
    ),
    7: Row("One job, 10,000 waiters", "all answered ≤ 1.5 s after completion, ≤ 3 reads"),
    8: Row(
        "Create, 64 connections, durable",
        "≥ 3,500/s single; ≥ 25,000 jobs/s in batches of 1,000, there database ≤ 3 × the processor time of an "
        "INSERT of narrow rows and their key, service ≤ 20 µs a job",
    ),
    9: Row(
        "Claim, report, complete over HTTP, 16 workers",
        "≥ 1,000 jobs/s one by one; ≥ 1,500 with `claim` in `complete`, at half the processor time; ≥ 6,000 with "
        "`POST /v1/reports`; claim and complete by a hundred ≤ 0.15 ms of processor and ≤ 2,600 bytes of WAL a job",
    ),
    10: Row("1,000,000 files on one job", "≥ 40,000 item updates/s; any page ≤ 1.2 × the first; RSS flat"),
    11: Row(
        "5,000,000 finished jobs in the tables (loaded by COPY)",
        "GET, claim, first list page, wait wake-up each ≤ 1.3 × their time with 10,000",
    ),
    12: Row(
        "Heartbeats of 2,000 running jobs with an old snapshot held open for 60 s",
        "growth ≤ 200 bytes per heartbeat while held, claim p99 ≤ 3 ×; within 60 s of its release HOT ≥ 99 % and no "
        "further growth",
    ),
    13: Row("Idle", "≤ 3 statements/s, ≤ 0.5 % CPU, RSS ≤ 120 MB"),
    14: Row(
        "Two serving processes (`JOBTRACK_WORKERS=2`) beside one",
        "rows 1 and 9 in each, with what the generator takes of the cores, and what the database costs a job",
    ),
    15: Row(
        "Beside other Python job queues, in the same run on the same PostgreSQL",
        "published plainly with what each is: a library on the database, or a service over HTTP",
    ),
    16: Row(
        "The page of a job with 1,000 files, for a reader who is signed in",
        "≤ 3 statements; its processor time is published",
    ),
}
