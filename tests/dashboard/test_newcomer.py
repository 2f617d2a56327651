"""A newcomer's way as the README has it: a fresh clone, `make run`, one click; a worker of one's own, a file that
fails, its error, "rerun the failed", green.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser
from tests.cli.serving import gone, log_of, said, terminal
from tests.readme import FUNCTIONS, Reached, block, run_script, working
from tests.service_process import ROOT, free_port, without_settings

STAMP = Path(sys.prefix) / ".installed"
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING),
    pytest.mark.skipif(not STAMP.exists(), reason="`make install` has not made this environment"),
    pytest.mark.slow,
]

NOT_CLONED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "node_modules")


def fresh_clone(to: Path) -> Path:
    """The checkout as `make install assets` leaves a clone, with what it has fetched: no test talks to a network."""
    shutil.copytree(ROOT, to, ignore=NOT_CLONED)
    (to / ".venv").symlink_to(sys.prefix)
    return to


@contextlib.asynccontextmanager
async def make_run(clone: Path, data_dir: Path, port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`make run` on a terminal, ended by Ctrl-C."""
    with terminal(log_of(data_dir)) as line:
        process = subprocess.Popen(  # noqa: ASYNC220  the test has nothing else to do meanwhile
            ["make", "run", f"ARGS=--port {port}"],
            cwd=clone,
            # The environment's own `app` is the checkout's.
            env={**without_settings(), "PYTHONPATH": str(clone), "JOBTRACK_DATA_DIR": str(data_dir)},
            stdin=line,
            stdout=line,
            stderr=line,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            # Also where the test failed: what a killed service leaves would hold the terminal.
            os.killpg(process.pid, signal.SIGINT)
            await gone(process, 20)


async def test_from_a_fresh_clone_to_a_green_rerun(screen: Browser, room: Path, tmp_path: Path) -> None:
    if os.environ.get("JOBTRACK_TEST_PG_BINDIR"):
        pytest.skip("the service runs the PostgreSQL of the wheel")
    clone, data_dir, port = fresh_clone(tmp_path / "jobtrack"), room / uuid.uuid4().hex[:8], free_port()
    async with make_run(clone, data_dir, port) as process:
        key = (await said(data_dir, r"API key     (jt_\w+)", process))[1]
        link = (await said(data_dir, r"(?m)^Open +(http\S+/sign-in\S*#\S+)$", process))[1]
        await said(data_dir, "Submitted job", process)

        # One click, and a page that moves.
        await screen.open(link)
        await screen.shows("#live", "live")
        await screen.run("window.stays = true")
        seen = await screen.text("#legend-progress")
        for _ in range(3):
            await screen.until("return document.querySelector('#legend-progress').innerText !== arguments[0]", seen)
            seen = await screen.text("#legend-progress")
        await screen.shows("#legend-failed", "3 failed")
        assert await screen.run("return window.stays"), "without loading the page again"

        # The demo has shown what it can; a reader may stop it from its page.
        await screen.click("#cancel")
        await screen.click("#cancel-yes")
        await screen.shows("#outcome", "Cancelled")

        # A worker of one's own reports its files, of which one fails.
        reached = Reached(f"http://127.0.0.1:{port}", key)
        (tmp_path / "README.md").write_text("ten bytes.")
        (tmp_path / "worker.py").write_text(block("python", "from pathlib"))
        with working([sys.executable, "worker.py"], reached, tmp_path):
            script = FUNCTIONS + block("sh", 'api jobs \'{"type": "nightly"')
            ended = json.loads((await asyncio.to_thread(run_script, script, reached)).splitlines()[-1])
            assert ended["status"] == "completed_with_failures"
            await screen.open(f"{reached.url}/ui/jobs")
            await screen.click(f"#job-{ended['id']} a[data-row]")

            # Its error is read, its cause is mended, and what failed runs again.
            await screen.shows("#outcome", "Completed with failures")
            for text in ("file_not_found_error", "No such file or directory", "nowhere.txt"):
                await screen.shows("#errors", text)
            (tmp_path / "nowhere.txt").write_text("six by")
            await screen.click("#rerun-failed")
            await screen.until("return !location.pathname.includes(arguments[0])", ended["id"])
            await screen.shows("#outcome", "Completed")
            await screen.element("#job-state.completed")
            await screen.shows("#legend-completed", "1 completed")
            await screen.shows("#files td .state.completed", "completed")
            assert await screen.complaints() == []
    assert "Jobtrack has stopped." in log_of(data_dir).read_text()
