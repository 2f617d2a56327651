"""Clients generated from the OpenAPI documents, and programs on them that run against a live service."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.service_process import ROOT, ServiceProcess

DOCUMENTS = sorted((ROOT / "openapi").glob("*.json"))
NAMES = [path.stem for path in DOCUMENTS]
PROGRAMS = Path(__file__).parent / "programs"
HOME = Path(sys.prefix) / "generators"
"""Where `make` has installed the generators (requirements/sdk)."""
BIN = HOME / "bin"
TYPESCRIPT = {"strict": True, "target": "es2022", "module": "nodenext", "types": ["node"], "outDir": "out"}


def run(*words: object, cwd: Path, environment: Mapping[str, str] | None = None, seconds: float = 600) -> str:
    """Run a program to its end and return what it printed; it must not fail."""
    command = [str(word) for word in words]
    variables = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(cwd), **(environment or {})}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=variables, timeout=seconds)
    printed = re.sub("0{200,}", "0...", done.stdout + done.stderr)
    assert done.returncode == 0, f"{command[:3]}: {done.returncode}\n{printed[-6_000:]}"
    return printed


def check_types(folder: Path, *modules: str, strict: bool = True) -> None:
    """Check generated Python with mypy and the packages that it needs."""
    python = BIN / "python"
    mypy = (sys.executable, "-m", "mypy", "--python-executable", python, "--cache-dir", folder / ".mypy_cache")
    run(*mypy, *(["--strict"] if strict else []), *modules, cwd=folder)


def compile_typescript(folder: Path, **options: bool) -> None:
    """Check generated code with the TypeScript compiler, and write the programs as JavaScript to `out`."""
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": {**TYPESCRIPT, **options}}))
    run("node", HOME / "node_modules/typescript/bin/tsc", cwd=folder)


async def run_programs(service: ServiceProcess, folder: Path, interpreter: Path | str, producer: str) -> None:
    """Run a producer and the worker beside it at the same time, in a queue of their own."""
    environment = {"API_URL": service.url, "API_KEY": service.api_key, "QUEUE": f"sdk-{uuid4().hex[:8]}"}

    async def one(program: str) -> None:
        await asyncio.to_thread(run, interpreter, program, cwd=folder, environment=environment)

    async with asyncio.TaskGroup() as both:
        both.create_task(one(producer))
        both.create_task(one(producer.replace("producer", "worker")))


def copy_programs(name: str, folder: Path) -> None:
    """Put the programs of a generator beside its client."""
    shutil.copytree(PROGRAMS / name, folder, dirs_exist_ok=True)


@pytest.fixture(scope="session", autouse=True)
def generators() -> Path:
    """Where the generators are."""
    assert (HOME.parent / ".generators").exists(), "The generators are not installed: make .venv/.generators"
    return HOME
