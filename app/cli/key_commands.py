"""`jobtrack keys`: who may talk to the service."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.exits import clear_sentences
from app.cli.tables import print_json, print_rows
from app.cli.target import AsJson, Url, address, client

app = typer.Typer(help="Make, list and revoke keys.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_keys(url: Url = None, as_json: AsJson = False) -> None:
    """List the project's keys, newest first, without the keys themselves."""
    url = address(url)
    found: list[Any] = []
    with clear_sentences(url), client(url) as asked:
        cursor: str | None = ""
        while cursor is not None:
            page = asked.list_keys(cursor=cursor)
            found += page["keys"]
            cursor = page["next_cursor"]
    if as_json:
        print_json({"keys": found})
        return
    rows = [
        (
            key["id"],
            key["name"],
            ",".join(key["scopes"]),
            "all" if key["queues"] is None else ",".join(key["queues"]),
            "revoked" if key["revoked_at"] else key["expires_at"] or "never ends",
            key["last_used_at"] or "never used",
        )
        for key in found
    ]
    print_rows(("id", "name", "scopes", "queues", "ends", "last used"), rows, empty="There is no key.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="read, submit, work, admin or operator; may be repeated.")
    ],
    queue: Annotated[
        list[str] | None, typer.Option("--queue", help="The only queues it may use; may be repeated.")
    ] = None,
    expires_at: Annotated[str | None, typer.Option("--expires-at", help="When it ends, as RFC 3339.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once.

    Example: jobtrack keys create indexer --scope work --scope read
    """
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        made = asked.create_key(name, scope, queues=queue, expires_at=expires_at)
    print_json(made) if as_json else print(made["key"])


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id: the middle part of jt_ID_....")],
    url: Url = None,
) -> None:
    """End a key for good; within two seconds nobody accepts it any more."""
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        asked.revoke_key(key_id)
