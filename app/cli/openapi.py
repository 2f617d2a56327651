"""`jobtrack openapi`: write the OpenAPI documents, one file for each API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli.exits import Exit, fail, needing
from app.cli.target import AsJson


def openapi(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to; created if it is missing.")],
    as_json: AsJson = False,
) -> None:
    """Write the OpenAPI documents, one NAME.json for each API. The same version always writes the same bytes."""
    with needing("server", "Writing the documents"):
        from app.cli.server import bare_app
        from app.main import openapi_documents

    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in sorted(openapi_documents(bare_app()).items()):
            path = folder / f"{name}.json"
            path.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
            written.append(str(path))
    except OSError as error:
        fail(Exit.USAGE, f"{folder} cannot be written: {error.strerror or error}.")
    print(json.dumps({"written": written}) if as_json else "\n".join(written))
