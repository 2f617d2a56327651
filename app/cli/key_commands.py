"""`jobtrack keys`: manage the API keys of a project."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from app.cli import cells, times
from app.cli.choices import choice
from app.cli.exits import clear_sentences
from app.cli.pages import rows_of
from app.cli.tables import Cell, Column, print_json, print_rows
from app.cli.target import AsJson, Url, address, client
from app.domain.principal import Scope

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)

# The id is what `revoke` takes, and is never cut.
_COLUMNS = (
    Column("id", rank=0, wide=False),
    Column("name", rank=0),
    Column("scopes", rank=1),
    Column("queues", rank=4),
    Column("expires", rank=3, wide=False),
    Column("last used", rank=2, wide=False),
)


@app.command("list")
def list_keys(url: Url = None, as_json: AsJson = False) -> None:
    """List the API keys of the project, newest first. The secrets themselves are not shown."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        keys = rows_of(api.list_keys, "keys")
        if as_json:
            print_json({"keys": list(keys)})
        else:
            print_rows(_COLUMNS, map(_row, keys), empty="There are no API keys.")


def _row(key: Any) -> tuple[object, ...]:
    return (
        key["id"],
        key["name"],
        ",".join(key["scopes"]),
        "all" if key["queues"] is None else ",".join(key["queues"]),
        cells.age(key["expires_at"], "never") if not key["revoked_at"] else Cell("revoked", "revoked", "red"),
        cells.age(key["last_used_at"], "never"),
    )


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[
        list[str],
        choice("--scope", Scope, "What the key may do; may be repeated."),
    ],
    queue: Annotated[
        list[str] | None,
        typer.Option("--queue", metavar="NAME", help="A queue that the key may use; may be repeated; default: all."),
    ] = None,
    expires_at: Annotated[
        datetime | None,
        typer.Option("--expires-at", parser=times.time, metavar="TIME", help="When the key expires, as an ISO time."),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it. It cannot be shown again.

    Example: jobtrack keys create indexer --scope work --scope read
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        key = api.create_key(name, scope, queues=queue, expires_at=times.text(expires_at))
    print_json(key) if as_json else print(key["key"])


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key: the middle part of jt_ID_SECRET.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key permanently. The service rejects it within two seconds."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        api.revoke_key(key_id)
    if as_json:
        print_json({"revoked": key_id})
