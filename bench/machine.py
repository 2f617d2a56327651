"""What it was measured on, as far as it matters: no names of hosts, users or folders."""

# ruff: noqa: RUF001
# The multiplication sign is meant.

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
from pathlib import Path

import psutil


def describe(database_version: str) -> dict[str, str]:
    """Processor, memory, versions."""
    return {
        "Processor": f"{psutil.cpu_count()} × {_processor()}",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": platform.system(),
        "Python": platform.python_version(),
        "PostgreSQL": database_version,
        "Libraries": ", ".join(
            f"{name} {importlib.metadata.version(name)}" for name in ("uvicorn", "uvloop", "fastapi", "sqlalchemy")
        ),
        "Load": "wrk and an asyncio client" if shutil.which("wrk") else "an asyncio client, for there is no wrk",
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def in_memory(directory: Path) -> bool:
    """Whether a folder lies in memory, where fsync costs nothing."""
    best, kind = "", ""
    for partition in psutil.disk_partitions(all=True):
        if directory.is_relative_to(partition.mountpoint) and len(partition.mountpoint) >= len(best):
            best, kind = partition.mountpoint, partition.fstype
    return kind in {"tmpfs", "ramfs"}
