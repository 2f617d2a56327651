"""`jobtrack doctor`: what an operator should look at first, each in a sentence with its cure."""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import shutil
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.backup import check_file
from app.cli.exits import Exit, needing
from app.cli.tables import Column, print_json, print_rows
from app.cli.target import AsJson
from app.cli.which_database import name_of

if TYPE_CHECKING:
    from app.settings import Settings

MOST_CLOCK_SECONDS: Final = 2.0
MOST_LAG_SECONDS: Final = 60.0
MOST_LOG_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what was found: a sentence, with the cure where it is not well."""

    name: str
    ok: bool
    finding: str


def doctor(
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Also write what helps others to help: no secrets.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the database of the settings: the schema, the feed, the disk, poolers, the clock and the settings."""
    if bundle is not None:
        check_file(bundle, exists=False)
    with needing("server", "The doctor"):
        from app.cli.backup import opened
        from app.cli.start import start_up

    with start_up() as settings, opened(settings) as url:
        checks = list(_checks(settings, url))
        if bundle is not None:
            _write(bundle, settings, url, checks)
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        rows = [(check.name, "ok" if check.ok else "look", check.finding) for check in checks]
        # A finding that is cut would lack its cure.
        columns = (
            Column("check", rank=0, wide=False),
            Column("state", rank=0, wide=False),
            Column("finding", fold=True),
        )
        print_rows(columns, rows, empty="")
    if not all(check.ok for check in checks):
        raise typer.Exit(Exit.START_UP)


def _checks(settings: Settings, url: str) -> Iterator[Check]:
    from app.cli.setting_names import unknown_names
    from app.db.migrate import check_not_newer, is_current

    check_not_newer(url)
    yield Check("database", True, _sentence(name_of(settings)))
    current = is_current(url)
    yield Check("schema", current, "It is this version's." if current else "It is older: run `jobtrack migrate`.")
    if current:
        yield _retention(settings, url)
        yield _feed(url)
    yield _disk(settings)
    yield _pooler(settings, url)
    yield _clock(url)
    wrong = unknown_names(os.environ)
    yield Check("settings", not wrong, " ".join(wrong) or "Every JOBTRACK_ variable is a setting.")


def _retention(settings: Settings, url: str) -> Check:
    from app.cli.database import kept_jobs

    kept = kept_jobs(url, settings.keeping)
    return Check("retention", kept is None, _sentence(kept or "ended jobs go when their queue or the settings say so"))


def _feed(url: str) -> Check:
    from app.db.server import oldest_transaction_seconds

    seconds = asyncio.run(oldest_transaction_seconds(url))
    if seconds <= MOST_LAG_SECONDS:
        return Check("feed", True, "No old transaction holds the events up.")
    cure = "end it: select from pg_stat_activity and pg_prepared_xacts, then pg_terminate_backend or ROLLBACK PREPARED"
    return Check("feed", False, f"A transaction that is {seconds:.0f} s old holds the events up; {cure}.")


def _disk(settings: Settings) -> Check:
    if settings.database_url is not None:
        return Check("disk", True, "The database is on a server of its own; watch its disk there.")
    free = shutil.disk_usage(settings.data_dir).free
    if free >= settings.min_free_bytes:
        return Check("disk", True, f"{free // 2**20:,} MiB are free on the volume of {settings.data_dir}.")
    return Check(
        "disk",
        False,
        f"Only {free // 2**20:,} MiB are free on the volume of {settings.data_dir}, and new jobs are refused: free "
        "some space, or keep ended jobs for a shorter time (JOBTRACK_KEEP_DAYS).",
    )


def _pooler(settings: Settings, url: str) -> Check:
    from app.db.sessions import is_shared, missing_settings

    listen = settings.listen_url.get_secret_value() if settings.listen_url else url
    if asyncio.run(is_shared(listen)):
        cure = "set JOBTRACK_LISTEN_URL to an address of the server itself"
        return Check("pooler", False, f"A pooler shares sessions, on which notifications are lost: {cure}.")
    if settings.prepared_statements and listen != url and asyncio.run(is_shared(url)):
        return Check("pooler", False, "A pooler mixes prepared statements up: unset JOBTRACK_PREPARED_STATEMENTS.")
    if missing := asyncio.run(missing_settings(url)):
        return Check("pooler", False, f"Sessions lack limits: run `jobtrack migrate`, or as administrator: {missing}.")
    return Check("pooler", True, "Notifications and the sessions' limits reach the server.")


def _clock(url: str) -> Check:
    from app.db.server import clock_difference_seconds

    seconds = asyncio.run(clock_difference_seconds(url))
    if abs(seconds) <= MOST_CLOCK_SECONDS:
        return Check("clock", True, "This machine's clock and the database's agree.")
    return Check("clock", False, f"This machine's clock is {seconds:+.0f} s from the database's: let NTP set both.")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _write(bundle: Path, settings: Settings, url: str, checks: Iterable[Check]) -> None:
    from app.cli.config import described
    from app.db.server import describe
    from app.logs import scrub

    files = {
        "checks.json": [asdict(check) for check in checks],
        "settings.json": described(settings),
        "machine.json": {"python": sys.version, "platform": platform.platform(), "processors": os.cpu_count()},
        "database.json": asyncio.run(describe(url)),
    }
    texts = {name: json.dumps(content, indent=1, default=str) for name, content in files.items()}
    texts["postgres.log"] = _tail(settings.data_dir / "postgres.log")
    secrets = list(_secrets(settings))
    # Created with its mode: nobody else reads it in between.
    descriptor = os.open(bundle, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in texts.items():
            content = scrub(text, secrets).encode()
            entry = tarfile.TarInfo(f"jobtrack-doctor/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield what may stand nowhere: the secrets of the settings, and the key beside the embedded database."""
    from app.cli.postgres_tools import without_password

    for secret in (settings.bootstrap_key, settings.database_url, settings.listen_url):
        if secret is not None:
            yield secret.get_secret_value()
    for address in (settings.database_url, settings.listen_url):
        if address is not None:
            yield from without_password(address.get_secret_value())[1].values()
    key = settings.data_dir / "api-key"
    if key.is_file():
        yield key.read_text().strip()


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MOST_LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
