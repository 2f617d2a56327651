"""Programs that the benchmark starts: they say in one line of JSON that they are up, and end with the benchmark."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
ANSWER_SECONDS = 120.0


class ChildError(RuntimeError):
    """A program did not start, or did not do what it was started for."""


class Child:
    """One program. It has a session of its own, so that Ctrl-C reaches the benchmark first, which then stops it."""

    def __init__(
        self, args: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, obeys: bool = False
    ) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                list(args),
                cwd=log.parent,
                env={**_plain_environment(), **(environment or {})},
                stdin=subprocess.PIPE if obeys else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            self.said = self._next_line(READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it serves, by what it said."""
        return int(str(self.said["url"]).rsplit(":", 1)[1])

    def ask(self, command: str, **values: object) -> dict[str, Any]:
        """Send a command, and wait for what a program that obeys answers."""
        if self._process.stdin is None:
            raise ChildError("the program takes no commands")
        self._process.stdin.write(json.dumps({"do": command, **values}).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._next_line(ANSWER_SECONDS)
        if "error" in answer:
            raise ChildError(f"{command}: {answer['error']}")
        return answer

    def _next_line(self, seconds: float) -> dict[str, Any]:
        output = self._process.stdout
        if output is None:
            raise ChildError("the program has no output")
        end, line = time.monotonic() + seconds, b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise ChildError(f"it said nothing within {seconds:.0f} s: {self._last_words()}")
                piece = os.read(output.fileno(), 65536)
                if not piece:
                    raise ChildError(f"it ended without a word: {self._last_words()}")
                line += piece
        said: dict[str, Any] = json.loads(line)
        return said

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]

    def stop(self) -> None:
        """End it as an operator would; cut it off if it does not."""
        process = self._process
        if process.stdin:
            process.stdin.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)
        finally:
            if process.stdout:
                process.stdout.close()


def _plain_environment() -> dict[str, str]:
    """Ours without settings of a service: one that is configured here must not configure the measured one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBTRACK_", "PG"))}
    kept.pop("DATABASE_URL", None)
    kept["PYTHONPATH"] = str(ROOT)
    return kept
