"""What rows 5 to 7 share: many waits that are really open before anything is measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from bench.load.connection import Request
from bench.load.generator import Generator, GeneratorError
from bench.load.holding import OPEN, Held, hold
from bench.session import Session
from bench.store import Jobs

LONG_SECONDS = 300
"""As long as a wait by `POST /v1/jobs/wait` is asked for: longer than anything measured meanwhile."""
_OPEN_WITHIN_SECONDS = 30.0


class Waiters:
    """Waits that one generator process holds open."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def stop(self, *, answers: int) -> Held:
        """Close them once so many are answered, or after some seconds; tells when each was."""
        self._generator.send(answers)
        held: Held = self._generator.receive()
        return held


def wait_for(job_id: str, seconds: int = LONG_SECONDS) -> Request:
    """The wait for one job that holds as long as asked."""
    return Request.post("/v1/jobs/wait", {"ids": [job_id], "wait": seconds})


def waits(jobs: Jobs) -> list[Request]:
    return [wait_for(job_id) for job_id in jobs.ids()]


@contextlib.contextmanager
def waiting(session: Session, requests: Sequence[Request], *, at_once: int, repeat: bool = False) -> Iterator[Waiters]:
    """Hold waits open at the service; the block begins when it has them all."""
    raw = [request.raw() for request in requests]
    with Generator(hold, session.service.port, raw, at_once=at_once, repeat=repeat) as generator:
        said = generator.receive()
        if said != OPEN:
            raise GeneratorError(f"the waits were not opened: {said}")
        end = time.monotonic() + _OPEN_WITHIN_SECONDS
        meter = session.meter
        while (now_open := meter.gauge("jobtrack_open_waits")) < at_once:
            if time.monotonic() > end:
                # If it was answered with errors, that says more.
                Waiters(generator).stop(answers=0)
                raise GeneratorError(f"of {at_once} waits only {now_open:.0f} were opened")
            time.sleep(0.5)
        yield Waiters(generator)


def require_sockets(session: Session, allowed: int) -> None:
    """Refuse what this machine does not let a process do."""
    needed = session.scale.waiters + 500
    if allowed < needed:
        raise GeneratorError(
            f"{session.scale.waiters} waits need {needed} open files a process, and this machine allows {allowed}: "
            "raise the hard limit (ulimit -Hn)"
        )
