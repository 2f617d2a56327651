"""The corpus of hostile input over every operation of every OpenAPI document, generated from the documents.

A new route is attacked from the day on which it is documented, in each of its parameters and fields. Every answer has
the status that was wanted, none is a 5xx, and nothing is stored.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.db.opening import asyncpg_dsn
from app.db.tables import metadata
from tests.api.corpus import NO_BODY, NO_JSON, bodies
from tests.api.operations import NATIVE, OPERATIONS, UNKNOWN, Operation, name_of
from tests.conftest import StartService

REFUSED = {400, 404, 413, 415, 422}
PATHS = ("%00", "%ff", "%ED%A0%80", "..%2f..", "a" * 4000, "{x}", "0", UNKNOWN.upper(), quote("é\u202e"))
NO_TEXT = ("%00", "%ff", "%ed%a0%80")
NO_NAMES = (*NO_TEXT, "a" * 4000)
QUERIES = ("%00", "%ff", "%ed%a0%80", "x" * 5000, "-1", "1.5", "NaN", "9" * 5000, "")


class Attack(NamedTuple):
    """One request, and the answers that are right."""

    what: str
    wanted: set[int]
    url: str
    request: dict[str, Any]


# A stream has no end.
READS = [one for one in OPERATIONS if one.method == "get" and one.said["operationId"] != "events_stream"]
LOCKED = [one for one in OPERATIONS if one.said.get("security")]


def hides_its_fault(answer: httpx.Response) -> bool:
    """Whether a refusal lists faults, and its one sentence names another than the first, or no place."""
    said = answer.json()
    if answer.status_code != 422 or not (faults := said.get("errors") or said.get("validation")):
        return False
    sentence, place = said.get("detail") or said["message"], faults[0].get("pointer") or faults[0].get("path", "")
    # A name that is long or that a terminal cannot print is not repeated as it is.
    named = place == "?" or len(place) > 200 or not place.isprintable() or place.rpartition(":")[2] in sentence
    return not named or faults[0]["message"].rstrip(".") not in sentence


async def stored(url: str) -> dict[str, int]:
    """Count the rows of every table."""
    connection = await asyncpg.connect(asyncpg_dsn(url))
    counts = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in metadata.tables}
    await connection.close()
    return counts


def body_attacks(one: Operation) -> Iterator[Attack]:
    """Attack an operation's JSON body, as a whole and field by field."""
    if one.schema() is None:
        return
    native = one.document == NATIVE
    as_json = {"Content-Type": "application/json"}
    unparsed, invalid = ({400}, {422}) if native else ({400, 413, 422}, {400, 422})
    for body in NO_JSON:
        yield Attack(f"{body[:30]!r}", unparsed, one.url, {"content": body, "headers": as_json})
    for body in NO_BODY:
        yield Attack(f"{body[:30]!r}", invalid, one.url, {"content": body, "headers": as_json})
    for what, body in bodies(one):
        yield Attack(what, invalid, one.url, {"content": body, "headers": as_json})
    if native:
        yield Attack("text/plain", {415}, one.url, {"content": b"{}", "headers": {"Content-Type": "text/plain"}})
        coded = {**as_json, "Content-Encoding": "gzip"}
        yield Attack("gzip", {415}, one.url, {"content": b"{}", "headers": coded})


def place_attacks(one: Operation) -> Iterator[Attack]:
    """Attack an operation's path and query."""
    body: dict[str, Any] = {} if one.schema() is None else {"json": {}}
    # A queue or a vendor's collection may have almost any name; an id may not.
    named = "{" in one.path and not re.search(r"{(\w+_)?id}", one.path.replace("{collection_id}", "{name}"))
    for value in NO_NAMES if named else PATHS if "{" in one.path else ():
        yield Attack(f"path {value[:20]}", REFUSED | {405}, re.sub(r"{\w+}", value, one.path), body)
    for name in one.queries:
        for value in NO_TEXT:
            yield Attack(f"{name}={value}", {400, 422}, f"{one.url}?{name}={value}", body)


async def test_corpus_is_refused_everywhere_and_leaves_nothing(start_service: StartService, database_url: str) -> None:
    service = await start_service()
    before = await stored(database_url)
    attacks = [(one, attack) for one in OPERATIONS for attack in (*body_attacks(one), *place_attacks(one))]
    wrong: list[str] = []
    async with service.client() as api:
        for one, (what, wanted, url, request) in attacks:
            answer = await api.request(one.method, url, **request)
            kind = answer.headers.get("content-type", "")
            if answer.status_code not in wanted or (one.document == NATIVE and kind != "application/problem+json"):
                said = f"{answer.status_code} {kind} {answer.text[:200]}"
                wrong.append(f"{one.document} {one.method} {one.path} {what}: {said}")
            elif hides_its_fault(answer):
                said = f"the fault is not in the sentence: {answer.text[:200]}"
                wrong.append(f"{one.document} {one.method} {one.path} {what}: {said}")
    assert not wrong, "\n".join(wrong[:40])
    assert len(attacks) > 1_000
    assert await stored(database_url) == before


@pytest.mark.parametrize("one", READS, ids=map(name_of, READS))
async def test_no_query_makes_the_service_fail(api: httpx.AsyncClient, one: Operation) -> None:
    for name in one.queries:
        for value in QUERIES:
            answer = await api.get(f"{one.url}?{name}={value}")
            assert answer.status_code < 500, (name, value, answer.text)


@pytest.mark.parametrize("one", LOCKED, ids=map(name_of, LOCKED))
async def test_without_a_key_there_is_no_way_in(api: httpx.AsyncClient, one: Operation) -> None:
    answer = await api.request(one.method, one.url, content=b"not even JSON", headers={"Authorization": ""})
    assert answer.status_code == 401, answer.text
