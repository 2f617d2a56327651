"""A Node.js that runs TypeScript as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = (22, 18)
"""From here on types are stripped without being asked for."""


def find_node() -> str | None:
    """The machine's own, or the one that `make` installs beside the tests' Python where that is too old."""
    for program in (shutil.which("node"), str(Path(sys.executable).parent / "node")):
        if program and Path(program).exists():
            # The path, too: what pip installs starts the real one as a child, which gets no signal.
            asked = [program, "-p", "process.versions.node + ' ' + process.execPath"]
            said = subprocess.run(asked, check=False, capture_output=True, text=True).stdout
            if (found := re.match(r"(\d+)\.(\d+)\S* (.+)", said)) and (int(found[1]), int(found[2])) >= NEEDED:
                return found[3]
    return None
