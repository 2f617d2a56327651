"""Run the command as a client does, in a process of its own."""

import asyncio
import subprocess
import sys

from tests.service_process import ROOT, ServiceProcess, without_settings

UNKNOWN = "01a206fa-0000-7000-8000-000000000000"


async def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One run of the command, beside the tests' loop."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={**without_settings(), "JOBTRACK_DATA_DIR": "/nonexistent", **environment},
    )


def reach(service: ServiceProcess) -> dict[str, str]:
    return {"JOBTRACK_URL": service.url, "JOBTRACK_API_KEY": service.api_key}
