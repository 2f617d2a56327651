"""The user under which PostgreSQL's programs run, and how they are started.

PostgreSQL refuses to run as root. A service that is root therefore drops to another user for its programs, and only
for them: it creates no user and changes no mode of a folder that it did not create.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import DataDirError, WrongOwnerError

# Tried in this order; the first is what a PostgreSQL package of the system would have created.
_CANDIDATES = ("postgres", "nobody")

# The server's own environment, and nothing of ours: a PGPORT or LC_ALL of the caller must not change the server.
# macOS before 15 has no C.UTF-8.
LOCALE = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
_ENVIRONMENT = {"PATH": os.defpath, "LANG": LOCALE, "LC_ALL": LOCALE, "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """A user, and whether this process has to become it first."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen(self, args: Sequence[str | Path], *, output: int) -> subprocess.Popen[bytes]:
        """Start a program that stays, in a session of its own: Ctrl-C at our terminal is not meant for it."""
        return subprocess.Popen(
            [str(arg) for arg in args],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def run(self, args: Sequence[str | Path], *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end and keep what it printed; the caller looks at the exit code.

        Its session is its own too: an initdb that Ctrl-C kills half-way would clean up in a race with us.
        """
        return subprocess.run(
            [str(arg) for arg in args],
            check=False,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            cwd="/",
            env=_ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def first_closed_folder(self, path: Path) -> Path | None:
        """The outermost folder on the way to `path`, itself included, that this user cannot enter.

        Asked of a process of that user rather than computed from mode bits: access lists count as well.
        """
        script = 'for folder do cd "$folder" 2>/dev/null || { printf %s "$folder"; exit 1; }; done'
        found = self.run(["/bin/sh", "-c", script, "sh", *reversed(path.parents), path])
        return Path(found.stdout) if found.returncode else None

    def give(self, path: Path) -> None:
        """Hand a folder that we have just created over to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)


def choose(cluster: Path) -> Account:
    """The user to run as: this process's own, or for root the owner of the database or an unprivileged user."""
    owner = _owner(cluster)
    mine = os.geteuid()
    if mine != 0:
        if owner not in (None, mine):
            raise WrongOwnerError(
                f"The database in {cluster} belongs to user {_name(owner)}, and this process runs as {_name(mine)}: "
                f"run it as {_name(owner)}, or set another data directory."
            )
        return Account(_name(mine), mine, os.getegid(), switch=False)
    if owner == 0:
        raise WrongOwnerError(
            f"The database in {cluster} belongs to root, and PostgreSQL refuses to run as root: hand it to another "
            f"user, for example with chown -R nobody {cluster}."
        )
    if owner is not None:
        return Account(_name(owner), owner, cluster.stat().st_gid, switch=True)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
    raise DataDirError(
        "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor a user nobody: "
        "run the service as a plain user."
    )


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


def _name(uid: int | None) -> str:
    if uid is None:
        return "nobody known"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
