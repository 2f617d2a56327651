"""What every OpenAPI document says alike, so that clients can be generated from it.

FastAPI writes what the routes declare. What it cannot know, and what its words make of generated clients, is put right
here: headers, refused methods, defaults (a default in a schema makes some generators ask for the field, or send what
the service would choose anyway), null where none can be sent, and ids, which are text whatever reads them.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import WithJsonSchema

Json = dict[str, Any]

SCHEMAS: Final = "#/components/schemas/"
_HEADERS: Final = "#/components/headers/"
UUID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})

_SHARED_HEADERS: Final[Mapping[str, str]] = {
    "Allow": "The methods that the path takes.",
    "Content-Range": "`bytes */N`: the length of the whole.",
    "Idempotency-Replayed": "`true`: an earlier request with this Idempotency-Key has done it.",
    "Retry-After": "Seconds to wait before the request is sent again.",
    "WWW-Authenticate": "How to send a key.",
    "X-Request-Id": "The request's id, that of the request if it has one. The service's log names it.",
}
_OF_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "401": ("WWW-Authenticate",),
    "405": ("Allow",),
    "409": ("Retry-After",),
    "416": ("Content-Range",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def complete(document: Json) -> None:
    """Add to a document what all have alike, in place. Where a 500 is declared, a 405 of the same shape is added."""
    document["servers"] = [{"url": "/"}]
    components = document.setdefault("components", {})
    components["headers"] = {
        name: {"description": text, "schema": {"type": "integer" if name == "Retry-After" else "string"}}
        for name, text in _SHARED_HEADERS.items()
    }
    schemas: Json = components.get("schemas", {})
    for operation in operations(document):
        for parameter in operation.get("parameters", ()):
            _complete_parameter(parameter)
        _declare_headers(operation)
    answered = reachable(schemas, [operation["responses"] for operation in operations(document)])
    for name, schema in schemas.items():
        for field_name, field in schema.get("properties", {}).items():
            _spell_default(field, is_answer=name in answered)
            if name in answered and field_name not in schema.get("required", ()):
                # It is left out where there is nothing to say.
                _drop_null(field)
    _write_ids_as_text(document)


def null_of(schema_name: str) -> WithJsonSchema:
    """Declare a field that is null here and of this schema elsewhere: of a type without any other value some
    generators make nothing that compiles.
    """
    return WithJsonSchema(
        {"anyOf": [{"$ref": SCHEMAS + schema_name}, {"type": "null"}], "description": "Always null here."}
    )


def operations(document: Json) -> Iterator[Json]:
    """Yield the operations of a document."""
    for path in document["paths"].values():
        yield from (operation for method, operation in path.items() if method in _METHODS)


def reachable(schemas: Json, start: Any) -> set[str]:
    """Return the names of the schemas that a part of a document refers to, directly or through others."""
    found: set[str] = set()
    open_parts = [start]
    while open_parts:
        for part in walk(open_parts.pop()):
            name = str(part.get("$ref", "")).removeprefix(SCHEMAS)
            if name in schemas and name not in found:
                found.add(name)
                open_parts.append(schemas[name])
    return found


def walk(part: Any) -> Iterator[Json]:
    """Yield every object of a part of a document, examples left out."""
    if isinstance(part, dict):
        yield part
        for name, value in part.items():
            if name not in ("example", "examples"):
                yield from walk(value)
    elif isinstance(part, list):
        for value in part:
            yield from walk(value)


def describe(part: Json, sentence: str) -> None:
    """Add a sentence to a description."""
    part["description"] = f"{part['description'].rstrip()} {sentence}" if part.get("description") else sentence


def _complete_parameter(parameter: Json) -> None:
    """Leave null out, which no parameter can be, and write its default in words."""
    _drop_null(parameter["schema"])
    if "default" in parameter["schema"]:
        schema = parameter["schema"]
        schema.setdefault("description", parameter.get("description", ""))
        _spell_default(schema, is_answer=False)
        parameter["description"] = schema.pop("description")
    # FastAPI writes the description in both places.
    if parameter["schema"].get("description") == parameter.get("description"):
        parameter["schema"].pop("description", None)


def _spell_default(field: Json, *, is_answer: bool) -> None:
    """Write a default in words. Of an answer's field it means that the field may be missing, which `required` says."""
    if "default" not in field:
        return
    default = field.pop("default")
    if not is_answer and default is not None and "default" not in field.get("description", "").lower():
        describe(field, f"Default: `{json.dumps(default)}`.")


def _drop_null(schema: Json) -> None:
    forms = schema.get("anyOf", ())
    left = [form for form in forms if form.get("type") != "null"]
    if len(left) == len(forms):
        return
    if len(left) > 1:
        schema["anyOf"] = left
        return
    del schema["anyOf"]
    outer = dict(schema)
    schema.update(left[0])
    # What is said of the field itself counts more than what is said of its type.
    schema.update(outer)


def _declare_headers(operation: Json) -> None:
    """Declare the refusal of a method, and the headers of every answer."""
    responses = operation["responses"]
    if "500" in responses and "405" not in responses:
        responses["405"] = {**responses["500"], "description": "The path does not take this method; see `Allow`."}
    is_keyed = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    for status, response in responses.items():
        names = [*_OF_STATUS.get(status, ()), "X-Request-Id"]
        if is_keyed and status.startswith("2"):
            names.append("Idempotency-Replayed")
        shared = {name: {"$ref": _HEADERS + name} for name in names}
        response["headers"] = dict(sorted({**response.get("headers", {}), **shared}.items()))
    operation["responses"] = dict(sorted(responses.items()))


def _write_ids_as_text(document: Json) -> None:
    """Write ids as text of a pattern: as a `format` some generators make objects of them, others text.

    A program that has an id from an answer could then not send it where any text is taken, which is nearly everywhere.
    """
    for part in walk(document):
        if part.get("type") == "string" and part.get("format") == "uuid":
            del part["format"]
            part["pattern"] = UUID
