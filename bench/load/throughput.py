"""How much a server answers at most: wrk, or, where there is none, the closed loop of our own client."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import generator
from bench.load.connection import HOST, Request
from bench.load.generator import GeneratorError
from bench.load.loops import closed_loop
from bench.result import quantile
from bench.service import API_KEY

_SCRIPT = Path(__file__).with_name("walk.lua")
_LAST_ANSWERS_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """Answers a second, and how long they took on a busy server."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int
    cpu: float
    """Processor time of the generator itself."""


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def drive(port: int, requests: Sequence[Request], *, connections: int, seconds: float, wanted: int = 200) -> Throughput:
    """Keep every connection busy for some time. Raises if an answer was refused or lost."""
    program = shutil.which("wrk")
    if program is None:
        raw = [request.raw() for request in requests]
        found = generator.run(closed_loop, port, raw, connections=connections, seconds=seconds, wanted=wanted)
        p50, p99 = (quantile(found.latencies, share) * 1000 for share in (0.5, 0.99))
        return Throughput(found.per_second, p50, p99, len(found.latencies), found.cpu)
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.write(f"Bearer {API_KEY}\n")
        file.writelines(f"{request.line()}\n" for request in requests)
        file.flush()
        return _wrk(program, port, file.name, connections, seconds)


def _wrk(program: str, port: int, requests: str, connections: int, seconds: float) -> Throughput:
    # wrk takes whole seconds only.
    length = max(round(seconds), 1)
    args = [program, "-t1", f"-c{connections}", f"-d{length}s", "--timeout", "20s", "-s", str(_SCRIPT)]
    used = _children_cpu()
    with subprocess.Popen(
        [*args, f"http://{HOST}:{port}", "--", requests],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=length + _LAST_ANSWERS_SECONDS)
        except BaseException:
            process.kill()
            raise
    lines = [line for line in output.splitlines() if line.startswith('{"answers"')]
    if process.returncode or not lines:
        raise GeneratorError(f"wrk failed: {output[-500:]}")
    told = json.loads(lines[-1])
    if told["refused"] or told["broken"] or not told["answers"]:
        raise GeneratorError(f"of wrk's {told['answers']} answers {told['refused']} were errors, {told['broken']} lost")
    used = _children_cpu() - used
    return Throughput(told["answers"] / told["seconds"], told["p50_ms"], told["p99_ms"], told["answers"], used)


def _children_cpu() -> float:
    """Of the processes of ours that have ended: nothing else ends while wrk runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
