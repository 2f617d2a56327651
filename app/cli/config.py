"""`jobtrack config show`: every setting and where its value comes from, without secrets."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import Exit, fail, needing
from app.cli.tables import Column, print_json, print_rows
from app.cli.which_database import warn_of_another

if TYPE_CHECKING:
    from app.settings import Settings

app = typer.Typer(help="Show how the service is configured.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show")
def show(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Show the settings of the service on this machine, and where each value comes from."""
    with needing("server", "Showing the service's settings"):
        from app.cli.setting_names import unknown_names
        from app.secret_files import SettingsError
        from app.settings import load
    try:
        settings = load()
    except SettingsError as error:
        fail(Exit.START_UP, str(error))
    warn_of_another(settings)
    rows = described(settings)
    if as_json:
        print_json({"settings": rows, "warnings": unknown_names(os.environ)})
        return
    columns = (Column("setting", rank=0, wide=False), Column("value", rank=1, fold=True), Column("origin", rank=2))
    print_rows(columns, [(r["setting"], r["value"], r["origin"]) for r in rows], empty="")
    for warning in unknown_names(os.environ):
        print(f"jobtrack: {warning}", file=sys.stderr)


def described(settings: Settings, options: Collection[str] = ()) -> list[dict[str, Any]]:
    """List the settings with their values, secrets masked, and where each comes from; `options` are those that the
    command line has set.
    """
    from app.cli.setting_names import origin_of, settings_named

    return [
        {
            "setting": name,
            "value": _shown(field, getattr(settings, field)),
            "origin": f"option --{field}" if field in options else origin_of(field),
            "description": description,
        }
        for field, name, description in settings_named()
    ]


def _shown(field: str, value: Any) -> str | None:
    from app.logs import scrub_dsn

    if value is None:
        return None
    secret = getattr(value, "get_secret_value", None)
    if secret is None:
        return str(value)
    # Of an address everything but the password is worth seeing; of a key, whatever it looks like, nothing.
    return scrub_dsn(secret()) if field.endswith("_url") else "***"
