"""`jobtrack health`: whether the service is ready, for people and for container platforms."""

from __future__ import annotations

import json

from app.cli.exits import clear_sentences
from app.cli.target import AsJson, Url, address, client


def health(url: Url = None, as_json: AsJson = False) -> None:
    """Check that the service is ready. The exit code is 6 if it is not ready. Needs no API key."""
    url = address(url)
    # A space counts as no key, and keeps the client from sending the key of the environment, which is not needed.
    with clear_sentences(url), client(url, key=" ") as api:
        answer = api.health()
    print(json.dumps(answer) if as_json else f"Jobtrack at {url} is ready.")
