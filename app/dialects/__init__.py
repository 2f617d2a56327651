"""What a dialect is, how the installed ones are found, and each one's own OpenAPI document.

A dialect speaks one vendor's documented job API. It is a folder of this package that exports `DIALECT`; nothing else in
the tree knows its name. `wire` holds the vendor's models, `translate` turns domain objects into them, `routes` parses,
makes one call to the core and translates.
"""

import copy
import difflib
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, get_args

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.web.errors import Render

# What FastAPI documents for every route with a parameter; here the dialects render validation errors themselves.
_FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")
_FRAMEWORK_DESCRIPTION = "Validation Error"
_FRAMEWORK_REF = "#/components/schemas/HTTPValidationError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's API as this server offers it."""

    name: str
    """The folder's name, and the word in addresses (`/dialects/<name>/openapi.json`) and operation ids."""
    title: str
    """The vendor's name for people."""
    version: str
    """The version of the vendor's API that is spoken, as the vendor writes it."""
    description: str
    """What this API covers, for the head of its document."""
    router: APIRouter
    """The routes, at the vendor's real paths."""
    render: Render
    """An error in the vendor's shape; also for unknown routes and methods below `prefixes`."""
    prefixes: tuple[str, ...]
    """The paths that are this vendor's, each with all that lies below it. Of two vendors' prefixes the longer one wins:
    Fifth Element and Immuta share `/jobs`."""


NONE: Final = "none"
"""What the setting says to serve no dialect at all."""


class UnknownDialectError(ValueError):
    """A dialect was asked for that is not in this package."""


def names() -> tuple[str, ...]:
    """Name every dialect of this package, without importing any."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def read_names(text: str) -> tuple[str, ...]:
    """Read names with commas between, or `none`; raises UnknownDialectError with a sentence."""
    asked = tuple(dict.fromkeys(name for part in text.lower().split(",") if (name := part.strip())))
    if asked == (NONE,):
        return ()
    for name in asked:
        if name not in names():
            near = difflib.get_close_matches(name, names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}, and {NONE}."
            raise UnknownDialectError(f"{name} is no dialect of Jobtrack; {hint}")
    return asked


@cache
def discover(chosen: tuple[str, ...] | None = None) -> tuple[Dialect, ...]:
    """Import the dialects of this package, all or those chosen, in the order of their names."""
    return tuple(import_module(f"{__name__}.{name}").DIALECT for name in names() if chosen is None or name in chosen)


def openapi(dialect: Dialect) -> dict[str, Any]:
    """Make a dialect's own OpenAPI document, from its routes alone, with the vendor's own names."""
    # Copied, because FastAPI hands out parts of the routes themselves.
    document: dict[str, Any] = copy.deepcopy(
        get_openapi(
            title=dialect.title,
            version=dialect.version,
            description=dialect.description,
            routes=dialect.router.routes,
        )
    )
    schemas = document.get("components", {}).get("schemas", {})
    _drop_framework_errors(document["paths"], schemas)
    for route in dialect.router.routes:
        if isinstance(route, APIRoute):
            _restore_nulls(document["paths"].get(route.path_format, {}), schemas, route)
    return document


def _drop_framework_errors(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Take out the 422 that FastAPI adds to whatever has a parameter.

    It is known by its description: a dialect that does answer 422 declares it with a sentence of its own, perhaps with
    a schema of the same name, since some vendors use FastAPI too.
    """
    responses = [operation["responses"] for path in paths.values() for operation in path.values()]
    for answers in responses:
        if answers.get("422", {}).get("description") == _FRAMEWORK_DESCRIPTION:
            del answers["422"]
    if _FRAMEWORK_ERRORS[0] in schemas and _FRAMEWORK_REF not in str(responses):
        for name in _FRAMEWORK_ERRORS:
            schemas.pop(name, None)


def _restore_nulls(path: dict[str, Any], schemas: dict[str, Any], route: APIRoute) -> None:
    """Put a route's examples back whole: FastAPI leaves out whatever is null, which here is part of the shape."""
    body = route.body_field.field_info.annotation if route.body_field else None
    said_to_be = (body, route.response_model, *(said.get("model") for said in route.responses.values()))
    # One of several is a union of them.
    for model in (one for kind in said_to_be for one in get_args(kind) or (kind,)):
        extra = getattr(model, "model_config", {}).get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in extra and model.__name__ in schemas:
            schemas[model.__name__]["examples"] = copy.deepcopy(extra["examples"])
    for method in route.methods or ():
        answers = path.get(method.lower(), {}).get("responses", {})
        for status, said in route.responses.items():
            for kind, content in said.get("content", {}).items():
                for word in ("example", "examples"):
                    if word in content:
                        answers[str(status)]["content"][kind][word] = copy.deepcopy(content[word])
