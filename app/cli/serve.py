"""`jobtrack serve`: start a database if none is named, install the first key, serve, and stop all in reverse order."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.config import described
from app.cli.exits import Exit, fail, needing
from app.cli.target import AsJson

if TYPE_CHECKING:
    from app.cli.keys import FirstKey
    from app.settings import Settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  read, not bound


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="The address to serve on; default: JOBTRACK_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="The port; 0: any free one; default: JOBTRACK_PORT, else 8000."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=64, help="Processes; default: JOBTRACK_WORKERS, else 1.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Run the demo job as soon as the service is up.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the service until Ctrl-C or SIGTERM. It brings its own PostgreSQL unless JOBTRACK_DATABASE_URL names one."""
    with needing("server", "The service"):
        from app.cli.start import start_up

    try:
        with start_up(host=host, port=port, workers=workers) as settings:
            options = {"host": host, "port": port, "workers": workers}
            shown = described(settings, [name for name, value in options.items() if value is not None])
            _serve(settings, shown, demo=demo, as_json=as_json)
    except KeyboardInterrupt:
        # Ctrl-C before the server handles signals, or a second time while the database stops.
        pass
    if not as_json:
        print("Jobtrack has stopped.", flush=True)


def _serve(settings: Settings, shown: list[dict[str, Any]], *, demo: bool, as_json: bool) -> None:
    import asyncio

    with needing("server", "The service"):
        from app.cli import keys
        from app.cli.database import (
            bring_up_to_date,
            note_cluster,
            require_current,
            url_of,
            warn_of_kept_jobs,
            warn_of_missing_settings,
        )
        from app.cli.demo_process import DemoProcess
        from app.cli.server import BACKLOG, Serving, serve_until_signal
        from app.cli.sign_in import sign_in_path
        from app.cli.start import embedded

    dialects = _dialects(settings)
    # The port comes first: if it is taken, no database should have been started for it.
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_bound(settings.host, settings.port))
        database_url = url_of(settings)
        if database_url is None:
            url = stack.enter_context(embedded(settings))
            bring_up_to_date(url)
        else:
            url = database_url
            require_current(url)
            warn_of_missing_settings(url)
        note_cluster(url)
        warn_of_kept_jobs(url, settings.keeping)
        first = keys.install(url, settings, keep=database_url is None)
        own = _own_address(settings.host, listener.getsockname()[1])
        if database_url is None:
            # Before anybody can be answered, and while the port and the data directory are ours.
            keys.note_address(own, settings.data_dir)
        worker = stack.enter_context(
            DemoProcess(own, first.key, settings.data_dir, where=first.where, enabled=demo, as_json=as_json)
        )

        # On a terminal alone: a log would keep the link.
        page = "/ui/jobs/newest" if demo else None
        path = sign_in_path(url, first.key, page=page) if first.key and sys.stdout.isatty() and not as_json else None

        def on_started() -> None:
            _say_where(own, first, as_json=as_json, pages=(settings.public_url or own) + (path or "/"))
            worker.start()

        listen_url = settings.listen_url.get_secret_value() if settings.listen_url else None
        prepared = settings.prepared_statements
        if prepared is None:
            # There can be no pooler between the service and its own database.
            prepared = database_url is None
        # A database that is named may be anywhere.
        volume = str(settings.data_dir) if database_url is None else None
        serving = Serving(
            url,
            listen_url,
            settings.pool_size,
            prepared,
            settings.max_answer_bytes,
            dialects,
            trusted_proxies=settings.trusted_networks,
            volume=volume,
            min_free_bytes=settings.min_free_bytes,
            key_share_percent=settings.key_share_percent,
            max_queues=settings.max_queues,
            public_url=settings.public_url,
            keep_seconds=settings.keeping.seconds,
            keep_failed_seconds=settings.keeping.failed_seconds,
            keep_is_set=settings.keeping.is_set,
            settings=tuple(tuple(row.values()) for row in shown),
        )
        try:
            listener.listen(BACKLOG)
        except OSError as error:
            _refuse(settings.host, settings.port, error)
        if settings.workers > 1:
            from app.cli.processes import Processes

            if not Processes(serving, listener, settings.workers, own).run(on_started, worker.stop):
                fail(Exit.START_UP, "A server process did not start; its error is printed above.")
        else:
            serve_until_signal(
                serving, listener, on_started=on_started, before_drain=lambda: asyncio.to_thread(worker.stop)
            )


def _dialects(settings: Settings) -> tuple[str, ...] | None:
    if settings.dialects is None:
        return None
    from app.dialects import UnknownDialectError, read_names

    try:
        return read_names(settings.dialects)
    except UnknownDialectError as error:
        fail(Exit.START_UP, f"JOBTRACK_DIALECTS is wrong: {error}")


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """Bind the address without listening: until the service is ready, clients are refused instead of kept waiting."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not a name"
        fail(Exit.START_UP, f"{host} is not an address that can be served on: {why}.")
    with listener:
        # A restart must not wait for the last connections' TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
        except OSError as error:
            _refuse(host, port, error)
        yield listener


def _refuse(host: str, port: int, error: OSError) -> None:
    why = (error.strerror or str(error)).lower()
    fail(Exit.START_UP, f"Cannot serve on {host}:{port}, {why}: choose another port with --port or JOBTRACK_PORT.")


def _own_address(host: str, port: int) -> str:
    near = _EVERYWHERE.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def _say_where(url: str, first: FirstKey, *, as_json: bool, pages: str) -> None:
    key = first.shown(terminal=sys.stdout.isatty())
    if as_json:
        file = str(first.file) if first.file else None
        print(json.dumps({"url": url, "docs_url": f"{url}/docs", "api_key": key, "api_key_file": file}), flush=True)
        return
    print(
        f"Jobtrack is up.\n"
        f"  API key     {f'{key} ({first.where})' if key else first.where}\n"
        f"  Swagger UI  {url}/docs\n"
        f"Ctrl-C stops it.\n"
        f"Open        {pages}",
        flush=True,
    )
