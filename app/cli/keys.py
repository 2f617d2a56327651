"""The first API key: install it if there is none, and store it where it can be found again."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.exits import Exit, fail
from app.core.first_key import is_valid, prepare
from app.domain.key_text import make_key
from app.logs import hushed
from jobtrack_client.discovery import ADDRESS_FILE, KEY_FILE, is_loopback

if TYPE_CHECKING:
    from app.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class FirstKey:
    """The first API key, if it is known, and a phrase that says where it is stored."""

    key: str | None = dataclasses.field(repr=False)
    where: str
    is_new: bool = False
    """Generated just now: nobody can know it yet."""
    file: Path | None = None

    def shown(self, *, terminal: bool) -> str | None:
        """Return the key if it may be printed: a log keeps what a terminal forgets, so there it stands once at most."""
        return self.key if self.is_new or terminal else None


@hushed("app.core.audit")
def install(url: str, settings: Settings, *, keep: bool) -> FirstKey:
    """Install the first API key if there is none; `keep` stores it in the data directory, for later starts to read."""
    chosen = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else None
    if not keep:
        made = asyncio.run(prepare(url, chosen))
        if made and made != chosen:
            return FirstKey(made, "shown this once: keep it", is_new=True)
        return FirstKey(None, "the one of JOBTRACK_BOOTSTRAP_KEY" if made else "as before: a key was made earlier")
    path = settings.data_dir / KEY_FILE
    kept = read(path)
    offered = chosen or kept or make_key()[1]
    # Before the database has it: a crash in between must not leave a service whose only key is unknown to everyone.
    if kept is None:
        _write(path, offered)
    made = asyncio.run(prepare(url, offered))
    if made is None and kept is None:
        path.unlink()
        return FirstKey(None, unknown(path))
    if made is None and kept and not asyncio.run(is_valid(url, kept)):
        return FirstKey(None, unknown(path))
    if made and made != kept:
        _write(path, made)
    is_new = made is not None and chosen is None and kept is None
    return FirstKey(made or kept, f"kept in {path}", is_new, path)


def unknown(path: Path) -> str:
    """Return a sentence for a database, such as a restored one, that has keys and not the one in the file."""
    holds = "holds one that is not valid here" if path.exists() else "is not there"
    return (
        f"one that was made earlier; {path} {holds}. After a restore the keys are those of the backup: copy the "
        "api-key file from where that was made, or set JOBTRACK_API_KEY to another of these; `jobtrack keys create` "
        "makes more"
    )


def note_address(url: str, data_dir: Path) -> None:
    """Write down, beside the key, of which service it is: the command line sends it nowhere else.

    Only loopback is this machine's for certain. Any other address may be somebody else's tomorrow, or lie behind a
    proxy; a service that serves on such a one alone is reached with JOBTRACK_API_KEY.
    """
    path = data_dir / ADDRESS_FILE
    if is_loopback(url):
        _write(path, url)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        fail(Exit.START_UP, f"{path} cannot be removed: {error.strerror or error}.")


def read(path: Path) -> str | None:
    """Return the key that a file keeps, if there is one."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        fail(Exit.START_UP, f"The key file {path} cannot be read: {error}.")


def _write(path: Path, line: str) -> None:
    """Write the file atomically, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:  # noqa: PTH123  sets the mode when it creates the file
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:
            # The owner of the data directory may run the service next time.
            owner = path.parent.stat()
            os.chown(new, owner.st_uid, owner.st_gid)
        new.replace(path)
    except OSError as error:
        fail(Exit.START_UP, f"{path} cannot be written: {error.strerror or error}.")
