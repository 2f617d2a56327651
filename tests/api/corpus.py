"""Bodies that every operation must refuse, generated from the OpenAPI documents."""

import json
from collections.abc import Iterator
from typing import Any

from app.web.openapi import UUID
from tests.api.operations import DOCUMENTS, Operation

# What the strict parser refuses whatever the schema is, and what every schema refuses.
NO_JSON = (
    b"{", b'{"type": NaN}', b'{"x": -Infinity}', b'{"x": 1e400}', b'{"x": ' + b"9" * 5000 + b"}",
    b'{"x": ' + b"[" * 65 + b"]" * 65 + b"}", b"[" * 100_000, b"\xef\xbb{}", "{}".encode("utf-16"),
    b'{"x": "\xff"}', b'{"x": "a\x00b"}', b'{"x": [' + b",".join([b"0"] * 500_001) + b"]}",
)  # fmt: skip
NO_BODY = (b"[]", b'"text"', b"7", b'{"' + b"k" * 300 + b'": 1}', b'{"\\ud800": 1}', b'{"x": "\\ud800"}')

WRONG: dict[str | None, tuple[Any, ...]] = {
    "enum": ("nonsense", 1, "a\0b"),
    "integer": (True, "1", [], 10**300, 1.5),
    "number": (True, "1", [], 10**300),
    "string": (1, [], {}, "a\0b", "\ud800"),
    "boolean": (1, "true", []),
    "array": ({}, "x", 1),
    "object": ([], "x", 1, {"a\0b": "x"}, {"k" * 300: "x"}),
}


def resolved(document: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and of several forms take the first that is not null."""
    while True:
        if "$ref" in schema:
            schema = DOCUMENTS[document]["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in schema:
            schema = next(form for form in schema["anyOf"] if form.get("type") != "null")
        elif "allOf" in schema:
            schema = schema["allOf"][0]
        else:
            return schema


def wrong_values(document: str, schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values that a field of this schema must refuse."""
    schema = resolved(document, schema)
    kind = "enum" if "enum" in schema else schema.get("type")
    # Any JSON: what cannot be stored is refused there as well.
    yield from WRONG.get(kind, ("a\0b", {"a": ["\0"]}, "\ud800"))
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if schema.get("format") == "date-time" or schema.get("pattern") == UUID:
        yield from ("", "nonsense", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-01-01T00:00:00")


def bodies(one: Operation) -> Iterator[tuple[str, bytes]]:
    """Yield bodies with one wrong field each, the rest as in the example."""
    schema = resolved(one.document, one.schema() or {})
    examples = (one.schema() or {}).get("examples") or schema.get("examples") or [{}]
    for name, field in schema.get("properties", {}).items():
        for value in wrong_values(one.document, field):
            yield f"{name}={value!r:.40}", json.dumps({**examples[0], name: value}).encode()
