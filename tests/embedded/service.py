"""A service in a process of its own, for tests to kill: starts the database, says what happened, stops on a signal.

Run as a program. It prints one JSON object a line. `--uid` drops root's rights after every import, because the
interpreter of a developer may lie where another user cannot read it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from app.embedded import EmbeddedError, EmbeddedPostgres


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)  # noqa: T201  # this is how it talks to the test


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--bindir", type=Path, required=True)
    parser.add_argument("--uid", type=int)
    options = parser.parse_args()
    if options.uid:
        os.setgroups([])
        os.setgid(options.uid)
        os.setuid(options.uid)

    # A pipe, not a threading.Event: its lock is not reentrant, so a signal that comes while `wait` is being entered
    # would stop the handler and the program for ever (seen once, on a slow machine).
    interrupted, interrupt = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(interrupt, b"!"))

    server = EmbeddedPostgres(options.data_dir, bindir=options.bindir, log=lambda line: say(log=line))
    say(starting=True)
    try:
        url = server.start()
    except EmbeddedError as error:
        say(error=type(error).__name__, message=str(error), pid=getattr(error, "pid", None))
        return 3
    except Exception as error:  # noqa: BLE001  # a test must see it as what it is: not the sentence it expects
        say(error=type(error).__name__, message=str(error))
        return 1
    say(url=url)

    os.read(interrupted, 1)
    # The drain: what a service still has to write when it was told to stop.
    last = [options.bindir / "psql", url, "-Atqc", "INSERT INTO t VALUES (99)"]
    say(drained=subprocess.run(last, check=False, capture_output=True).returncode == 0)
    server.stop()
    say(stopped=True, restarts=server.restarts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
