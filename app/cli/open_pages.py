"""`jobtrack open`: sign a browser in to the service's pages, with the key that the command line uses."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from app.cli.exits import clear_sentences
from app.cli.target import Url, address, client


def open_pages(
    browser: Annotated[bool, typer.Option("--browser", help="Open the link in this machine's browser too.")] = False,
    url: Url = None,
) -> None:
    """Print a link that signs a browser in, once, within five minutes.

    Whoever opens it first may do there what the key may. Nobody has to paste a key.
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        link = url + api.create_session_code()["path"]
    print(link)
    if browser:
        webbrowser.open(link)
