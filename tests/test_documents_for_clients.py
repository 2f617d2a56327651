"""The OpenAPI documents as the generators of clients read them: what made some generate wrong code, or none."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.domain.item import ItemStatus
from app.domain.states import JobState
from app.web.openapi import reachable, walk
from tests.api.operations import DOCUMENTS, NATIVE, OPERATIONS, Operation, name_of

ALL = pytest.mark.parametrize("name", sorted(DOCUMENTS))
REFUSED = {"401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After", "503": "Retry-After"}
EVERYWHERE = {
    "cache-control", "connection", "content-length", "content-type", "date", "server", "transfer-encoding", "vary",
    "x-content-type-options",
}  # fmt: skip
"""Headers that HTTP itself or browsers look after."""


def schemas_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENTS[name]["components"]["schemas"]
    return found


def fields(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the fields of a document's schemas: of which, its name, and its own schema."""
    for owner, schema in schemas_of(name).items():
        yield from ((owner, field, declared) for field, declared in schema.get("properties", {}).items())


def answered(name: str) -> set[str]:
    operations = [one.said["responses"] for one in OPERATIONS if one.document == name]
    return reachable(schemas_of(name), operations)


def sent(name: str) -> set[str]:
    parts = [[one.said.get("parameters"), one.said.get("requestBody")] for one in OPERATIONS if one.document == name]
    return reachable(schemas_of(name), parts)


@ALL
def test_no_schema_has_a_default(name: str) -> None:
    # Some generators ask for a field with a default, and others send it.
    named = {"properties", "schemas"}
    assert [part for part in walk(DOCUMENTS[name]) if "default" in part and not named & part.keys()] == []


def test_default_is_said_in_words() -> None:
    job = schemas_of(NATIVE)["JobIn"]["properties"]
    assert job["max_attempts"]["description"] == "Default: `3`."
    assert job["priority"]["description"] == "Higher values are claimed first. Default: `0`."
    (limit,) = [one for one in DOCUMENTS[NATIVE]["paths"]["/v1/keys"]["get"]["parameters"] if one["name"] == "limit"]
    assert "50" in limit["description"]


@ALL
def test_every_enum_is_a_schema_of_its_own(name: str) -> None:
    # Named after where it stands, one may get the name of another schema, which is then dropped.
    named = [schema for schema in schemas_of(name).values() if "enum" in schema]
    assert [part for part in walk(DOCUMENTS[name]) if "enum" in part and part not in named] == []


@ALL
def test_null_is_only_an_alternative_and_only_where_it_can_be(name: str) -> None:
    alternatives = [form for part in walk(DOCUMENTS[name]) for form in part.get("anyOf", ())]
    nulls = [part for part in walk(DOCUMENTS[name]) if part.get("type") == "null"]
    assert all(any(null is form for form in alternatives) for null in nulls)
    parameters = [
        parameter for one in OPERATIONS if one.document == name for parameter in one.said.get("parameters", ())
    ]
    assert not [part for part in walk(parameters) if part.get("type") == "null"]
    # What an answer may leave out it does not answer with null.
    optional = [
        f"{owner}.{field}"
        for owner, field, declared in fields(name)
        if owner in answered(name) and field not in schemas_of(name)[owner].get("required", ())
        if {"type": "null"} in declared.get("anyOf", ())
    ]
    assert optional == []


@ALL
def test_ids_are_text_everywhere(name: str) -> None:
    # Where some are UUIDs and some are text, every program converts.
    assert [part for part in walk(DOCUMENTS[name]) if part.get("format") == "uuid"] == []


@ALL
def test_servers_are_declared(name: str) -> None:
    assert DOCUMENTS[name]["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("one", OPERATIONS, ids=map(name_of, OPERATIONS))
def test_operation_declares_its_body_its_refusals_and_their_headers(one: Operation) -> None:
    body = one.said.get("requestBody")
    assert body is None or len(body["content"]) == 1
    assert body is None or "*" not in "".join(body["content"])
    responses = one.said["responses"]
    assert {"405", "500", "503"} <= responses.keys()
    for status, response in responses.items():
        assert "X-Request-Id" in response["headers"], status
        assert REFUSED.get(status, "X-Request-Id") in response["headers"], status
        assert status < "400" or response["content"], status
        if status.startswith("2") and any(each["name"] == "Idempotency-Key" for each in one.said.get("parameters", ())):
            assert "Idempotency-Replayed" in response["headers"], status


def test_native_answers_are_open_for_new_values_and_requests_are_closed() -> None:
    schemas = schemas_of(NATIVE)
    enums = {name for name, schema in schemas.items() if "enum" in schema}
    assert enums.isdisjoint(answered(NATIVE))
    assert enums <= sent(NATIVE)
    for owner, values in (("JobSummary", JobState), ("ItemOut", ItemStatus)):
        status = schemas[owner]["properties"]["status"]
        assert status["type"] == "string"
        assert status["x-extensible-enum"] == [*values]
        assert all(f"`{value}`" in status["description"] for value in values)
    assert schemas["JobState"]["enum"] == [*JobState]


@pytest.mark.parametrize("one", OPERATIONS, ids=map(name_of, OPERATIONS))
async def test_refusals_send_the_headers_that_are_declared(api: httpx.AsyncClient, one: Operation) -> None:
    answers = {
        await api.request("PATCH", one.url),
        *([await api.request(one.method, one.url, headers={"Authorization": ""})] if one.said.get("security") else []),
    }
    for answer in answers:
        declared = one.said["responses"][str(answer.status_code)]
        assert answer.headers.keys() - EVERYWHERE == {name.lower() for name in declared["headers"]}
