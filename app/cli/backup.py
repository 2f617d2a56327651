"""`jobtrack backup`, `restore` and `psql`: PostgreSQL's own programs on the service's database."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from app.cli.exits import Exit, fail, needing
from app.cli.which_database import name_of, warn_of_another

if TYPE_CHECKING:
    from app.cli.postgres_tools import Tools
    from app.settings import Settings

logger = logging.getLogger("jobtrack")

_PREAMBLE_LINES: Final = 60
"""Lines of a script in which it sets its session up."""


def backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")]) -> None:
    """Write the database to a file, while the service runs. It holds all jobs, and digests of the keys."""
    check_file(file, exists=False)
    with needing("server", "A backup"):
        from app.cli.start import start_up

    with start_up() as settings, opened(settings) as url:
        tools = _tools("pg_dump", url)
        partial = file.with_name(f"{file.name}.partial")
        try:
            # Nobody else may read it: payloads are what they are.
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            _run(tools, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}")
            partial.rename(file)
        except OSError as error:
            fail(Exit.USAGE, f"{file} cannot be written: {error.strerror}.")
        finally:
            partial.unlink(missing_ok=True)
    print(f"Wrote {file}, {file.stat().st_size:,} bytes: {name_of(settings)}.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `jobtrack backup` has written.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace the jobs and keys that the database holds.")] = False,
) -> None:
    """Replace the database's content by a backup, whole or not at all. The service must not run meanwhile.

    An empty data directory gets its database first.
    """
    check_file(file, exists=True)
    with needing("server", "Restoring"):
        from app.cli.start import start_up

    with start_up() as settings, opened(settings, alone=True) as url:
        jobs, others = asyncio.run(_look(url))
        if others:
            fail(Exit.START_UP, f"{others} connections of Jobtrack use the database: stop the service first.")
        if jobs and not yes:
            fail(Exit.USAGE, "The database holds jobs, which a restore replaces: say --yes if they may go.")
        tools = _tools("pg_restore", url)
        _restore(tools, file)
        of_elsewhere = _keys_of_elsewhere(settings, url)
    print(
        f"Restored {name_of(settings)}. The next `jobtrack serve` or `jobtrack migrate` brings its schema up to date."
    )
    if of_elsewhere:
        print(f"The first key is {of_elsewhere}.")


def psql(context: typer.Context) -> None:
    """Open PostgreSQL's own command line on the database. What follows goes to psql: jobtrack psql -c 'SELECT 1'."""
    with needing("server", "psql"):
        from app.cli.start import start_up

    with start_up() as settings, opened(settings) as url:
        tools = _tools("psql", url)
        code = subprocess.run(tools.command("psql", *context.args), check=False, env=tools.environment).returncode
    raise typer.Exit(code)


@contextlib.contextmanager
def opened(settings: Settings, *, alone: bool = False) -> Iterator[str]:
    """Return the URL of the service's database: of the one that is named, or of the embedded one, running or not.

    `alone` refuses one that is in use, and makes the embedded one where there is none: a restore is how a new machine
    gets its data.
    """
    from app.cli.database import url_of

    warn_of_another(settings)
    if named := url_of(settings):
        yield named
        return
    with needing("embedded", "The embedded PostgreSQL"):
        from app.embedded import AlreadyRunningError, EmbeddedError, EmbeddedPostgres

    # A restore into the wrong directory would make a database there: that is said.
    server = EmbeddedPostgres(settings.data_dir, log=logger.info if alone else logger.debug)
    if not server.exists and not alone:
        fail(Exit.START_UP, f"There is no database in {settings.data_dir}: set JOBTRACK_DATA_DIR to the service's.")
    try:
        url = server.start()
    except AlreadyRunningError as error:
        if alone:
            fail(Exit.START_UP, str(error))
        url = server.url_while_running
    except EmbeddedError as error:
        fail(Exit.START_UP, str(error))
    try:
        yield url
    finally:
        server.stop()


def check_file(file: Path, *, exists: bool) -> None:
    """Exit unless a file can be read, or a new one made in its folder."""
    try:
        if exists and not file.is_file():
            fail(Exit.USAGE, f"{str(file)!r} is not a file.")
        if not exists and (file.exists() or not file.parent.is_dir()):
            fail(Exit.USAGE, f"{str(file)!r} exists already, or its folder does not.")
    except (OSError, ValueError):
        fail(Exit.USAGE, "FILE is not the name of a file.")


def _tools(program: str, url: str) -> Tools:
    from app.cli.postgres_tools import find_tools
    from app.db.server import server_major

    return find_tools(program, url, asyncio.run(server_major(url)))


async def _look(url: str) -> tuple[bool, int]:
    from app.db.server import holds_jobs, other_sessions

    return await holds_jobs(url), await other_sessions(url)


def _keys_of_elsewhere(settings: Settings, url: str) -> str | None:
    """Return the sentence about the key that the embedded service kept, if the restored database does not know it."""
    from app.cli import keys
    from app.cli.database import url_of
    from app.db.server import has_other_keys
    from app.domain.key_text import digest_of
    from jobtrack_client.discovery import KEY_FILE

    path = settings.data_dir / KEY_FILE
    if url_of(settings):
        return None
    kept = keys.read(path)
    return keys.unknown(path) if asyncio.run(has_other_keys(url, digest_of(kept) if kept else None)) else None


def _run(tools: Tools, program: str, *options: str) -> None:
    ended = subprocess.run(
        tools.command(program, *options), check=False, env=tools.environment, stderr=subprocess.PIPE, text=True
    )
    if ended.returncode:
        _explain(program, ended.stderr)


def _explain(program: str, said: str) -> None:
    from app.logs import scrub

    why = next((line for line in said.splitlines() if "error" in line.lower() or "fatal" in line.lower()), said)
    fail(Exit.START_UP, f"{program} failed: {scrub(why).strip().rstrip('.')}.")


def _restore(tools: Tools, file: Path) -> None:
    """Feed the script of a backup to psql, in one transaction that ends only if the whole script was written."""
    from app.db.server import DROP_ALL

    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-")
    script = subprocess.Popen(
        [str(tools.folder / "pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    target = subprocess.Popen(
        tools.command("psql", *options), env=tools.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if script.stdout is None or script.stderr is None or target.stdin is None or target.stderr is None:
        raise RuntimeError("a pipe was not made")
    # psql may end before it has read all: what it says tells why.
    with contextlib.suppress(BrokenPipeError), target.stdin:
        target.stdin.write(f"BEGIN;\n{DROP_ALL}\n".encode())
        _copy(script.stdout, target.stdin)
        if script.wait() == 0:
            target.stdin.write(b"COMMIT;\n")
    script.stdout.close()
    said = target.stderr.read().decode(errors="replace")
    wrong = script.stderr.read().decode(errors="replace")
    if target.wait():
        _explain("psql", said)
    if script.wait():
        _explain("pg_restore", wrong)
    sys.stderr.flush()


def _copy(script: IO[bytes], target: IO[bytes]) -> None:
    import shutil

    for _ in range(_PREAMBLE_LINES):
        line = script.readline()
        # Programs of 17 and later set it, and servers before know no such setting.
        if not line.startswith(b"SET transaction_timeout"):
            target.write(line)
    shutil.copyfileobj(script, target)
