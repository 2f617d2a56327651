"""`jobtrack health`: whether the service is ready, for people and for container platforms."""

from __future__ import annotations

import json

from app.cli.exits import clear_sentences
from app.cli.target import AsJson, Url, address, client


def health(url: Url = None, as_json: AsJson = False) -> None:
    """Ask whether the service is ready; exit code 6 when it is not. Needs no key."""
    url = address(url)
    # A space is no key, and keeps the client from sending the one of the environment, which is not asked for here.
    with clear_sentences(url), client(url, key=" ") as asked:
        answer = asked.health()
    print(json.dumps(answer) if as_json else f"Jobtrack at {url} is ready.")
