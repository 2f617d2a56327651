"""Valid values for the schemas of the OpenAPI documents."""

import copy
from collections.abc import Iterator
from typing import Any

from app.web.openapi import UUID
from tests.api.operations import DOCUMENTS, UNKNOWN


def forms(document: str, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Follow references, and give every form of several."""
    if "$ref" in schema:
        schema = DOCUMENTS[document]["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    several = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if several is None:
        yield schema
    for form in several or ():
        yield from forms(document, form)


def valid(document: str, schema: dict[str, Any]) -> Any:
    """Make up a value with nothing in it but what must be."""
    for form in (schema, schema := next(form for form in forms(document, schema) if form.get("type") != "null")):
        if form.get("examples"):
            return copy.deepcopy(form["examples"][0])
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: valid(document, properties[name]) for name in schema.get("required", ())}
    if kind == "array":
        return [valid(document, schema["items"])] if schema.get("minItems") else []
    return {"integer": schema.get("minimum", 1), "number": 1, "boolean": False}.get(
        str(kind), UNKNOWN if schema.get("pattern") == UUID else "x"
    )
