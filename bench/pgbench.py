"""The database's own ceiling: the same statement from pgbench, without any service."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bench.service import Service

_TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


def program(service: Service) -> Path | None:
    """The pgbench of the service's PostgreSQL, else the machine's."""
    found = service.database_program("pgbench") or shutil.which("pgbench")
    return Path(found) if found else None


def transactions_per_second(service: Service, script: str, *, clients: int, seconds: float) -> float | None:
    """Run a script of one transaction for some seconds; None where there is no pgbench."""
    command = program(service)
    if command is None:
        return None
    args = [str(command), "-n", "-M", "prepared", "-c", str(clients), "-T", str(max(round(seconds), 1)), "-f", "-"]
    with subprocess.Popen(
        [*args, service.database_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(script, timeout=seconds + 60)
        except BaseException:
            process.kill()
            raise
    found = _TPS.search(output)
    if found is None or process.returncode:
        raise RuntimeError(f"pgbench failed: {output[-500:]}")
    return float(found[1])
