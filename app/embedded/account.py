"""The user account that runs PostgreSQL's programs, and how they are started.

PostgreSQL refuses to run as root. A service that runs as root therefore starts these programs, and only these, as
another user. It creates no user, and changes no mode of a folder that it did not create.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import DataDirError, WrongOwnerError

# Tried in this order; a PostgreSQL package of the system would have created the first.
_CANDIDATES = ("postgres", "nobody")

# The whole environment of the server: a PGPORT or LC_ALL of our own environment must not change it.
# macOS before 15 has no C.UTF-8.
LOCALE = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
_ENVIRONMENT = {"PATH": os.defpath, "LANG": LOCALE, "LC_ALL": LOCALE, "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """A user, and whether a program must switch to it first."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen(self, args: Sequence[str | Path], *, output: int) -> subprocess.Popen[bytes]:
        """Start a long-running program in its own session, so that Ctrl-C at our terminal does not reach it."""
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
        """Run a program to its end and return its output; the caller checks the exit code.

        It has its own session as well: an initdb that Ctrl-C interrupts would clean up in a race with us.
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
        """Return the outermost folder on the way to `path`, itself included, that this user cannot enter.

        A process of that user tries this. It cannot be computed from mode bits, because access lists count as well.
        """
        script = 'for folder do cd "$folder" 2>/dev/null || { printf %s "$folder"; exit 1; }; done'
        result = self.run(["/bin/sh", "-c", script, "sh", *reversed(path.parents), path])
        return Path(result.stdout) if result.returncode else None

    def chown(self, path: Path) -> None:
        """Change the owner of a folder that we have just created to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)


def choose(cluster: Path) -> Account:
    """Choose the user to run as: that of this process; for root, the owner of the database or an unprivileged user."""
    owner = _owner(cluster)
    uid = os.geteuid()
    if uid != 0:
        if owner not in (None, uid):
            raise WrongOwnerError(
                f"The database in {cluster} belongs to user {_name(owner)}, and this process runs as {_name(uid)}: "
                f"run it as {_name(owner)}, or set another data directory."
            )
        return Account(_name(uid), uid, os.getegid(), switch=False)
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
