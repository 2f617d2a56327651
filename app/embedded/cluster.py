"""The database on disk: check whether these programs can open it, and create a new one.

A new one is created under a temporary name and renamed when it is complete, including role, database and settings. A
crash or a full disk in between leaves nothing that a later start could mistake for a database.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from app.embedded.account import LOCALE, Account
from app.embedded.binaries import Binaries
from app.embedded.errors import DataDirError, VersionError, from_os_error, from_output

SUPERUSER = "postgres"
OWNER = "jobtrack"
_UNFINISHED = ".creating-"
# From this version on the server has a built-in locale, which an upgrade of the C library cannot change under an index.
_BUILTIN_LOCALE_SINCE = 17

# For a small service on a shared machine. Stored in the database, so that ALTER SYSTEM can change them; what the
# supervisor relies on is on the server's command line instead.
_SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    # Pages of the job tables are read in random order and are in memory or on an SSD.
    "random_page_cost": "1.1",
    # The job tables are small and change all the time: vacuum early, in small steps, and analyze early, because until
    # then plans are made for an empty table.
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    # Compiling a statement would take longer than any of ours runs.
    "jit": "off",
    # The operator reserves them for other programs, if at all.
    "huge_pages": "off",
    # Fewer checkpoints write fewer full pages; recovery from this much takes seconds.
    "checkpoint_timeout": "15min",
    "max_wal_size": "1GB",
    # A query whose client was killed must not hold its locks until it ends.
    "client_connection_check_interval": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u ",
}


def check(cluster: Path, binaries: Binaries) -> bool:
    """Return whether a database exists. Raises `EmbeddedError` if these programs cannot open it."""
    try:
        version = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if cluster.is_dir() and any(cluster.iterdir()):
            raise DataDirError(
                f"{cluster} holds files but no database: move them away, or set another data directory."
            ) from None
        return False
    except OSError as error:
        raise from_os_error(error, cluster.parent) from error
    if version != str(binaries.major):
        raise VersionError(
            f"The database in {cluster} was written by PostgreSQL {version}, and the programs here are "
            f"{binaries.version}: start it once with PostgreSQL {version} and move the data with pg_dump, or set "
            "another data directory."
        )
    return True


def create(cluster: Path, binaries: Binaries, account: Account) -> None:
    """Create a new database with its role and settings, atomically."""
    parent = cluster.parent
    _discard_unfinished(parent)
    try:
        building = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
    except OSError as error:
        raise from_os_error(error, parent) from error
    try:
        account.chown(building)
        _initialise(building, binaries, account)
        _populate(building, binaries, account)
        building.rename(cluster)
        _sync_folder(parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _discard_unfinished(parent: Path) -> None:
    """Remove what is left of a creation that was killed, and end programs that still write there."""
    for leftover in parent.glob(f"{_UNFINISHED}*"):
        writers = [process for process in psutil.process_iter() if _works_in(process, leftover)]
        for process in writers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(writers, timeout=5)
        shutil.rmtree(leftover, ignore_errors=True)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    """Return whether it is the initdb of the folder, which is its argument, or initdb's server, which runs in it."""
    try:
        return any(str(folder) in argument for argument in process.cmdline()) or process.cwd() == str(folder)
    except psutil.Error:
        return False


def _initialise(building: Path, binaries: Binaries, account: Account) -> None:
    builtin = binaries.major >= _BUILTIN_LOCALE_SINCE
    result = account.run(
        [
            binaries.program("initdb"),
            f"--pgdata={building}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            f"--locale={'C' if LOCALE != 'C.UTF-8' else LOCALE}",
            *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if builtin else []),
            "--data-checksums",
            # Only the socket is open, and only the server's user and root can enter its folder. They could read the
            # files anyway, and a password would have to be stored beside those.
            "--auth-local=trust",
            "--auth-host=reject",
            "--no-instructions",
        ]
    )
    if result.returncode:
        raise from_output(result.stdout, building.parent, "initdb")


def _populate(building: Path, binaries: Binaries, account: Account) -> None:
    """Create role and database in single-user mode, which needs neither a running server nor a client library."""
    statements = [f"ALTER SYSTEM SET {name} = '{value}';" for name, value in _SETTINGS.items()]
    statements += [f"CREATE ROLE {OWNER} LOGIN;", f"CREATE DATABASE {OWNER} OWNER {OWNER};"]
    result = account.run(
        [binaries.program("postgres"), "--single", "-D", building, "-c", "exit_on_error=true", "postgres"],
        stdin="\n".join(statements) + "\n",
    )
    if result.returncode or "ERROR:" in result.stdout:
        raise from_output(result.stdout, building.parent, "Creating the database")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
