"""The definition of a dialect, the discovery of the installed dialects, and the OpenAPI document of each.

A dialect implements one vendor's documented job API. It is a folder of this package that exports `DIALECT`; nothing
else in the tree knows its name. `wire` holds the vendor's models, `translate` converts domain objects to them, and
`routes` parses the request, makes one call to the core and translates the result.
"""

import copy
import difflib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, get_args

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from app.web.errors import Render
from app.web.examples import show_parameters
from app.web.openapi import SCHEMAS, complete

# FastAPI documents these for every route with a parameter; the dialects render validation errors themselves.
_FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")
_FRAMEWORK_DESCRIPTION = "Validation Error"
_FRAMEWORK_REF = "#/components/schemas/HTTPValidationError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's API as this server offers it."""

    name: str
    """The name of the folder, also used in URLs (`/dialects/<name>/openapi.json`) and operation ids."""
    title: str
    """The title shown to people."""
    version: str
    """The implemented version of the vendor's API, as the vendor writes it."""
    description: str
    """What this API covers; the description in its OpenAPI document."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Descriptions of the groups in which its OpenAPI document shows the operations, in that order."""
    router: APIRouter
    """The routes, at the vendor's real paths."""
    render: Render
    """Renders an error in the vendor's format, including unknown routes and methods below `prefixes`."""
    prefixes: tuple[str, ...]
    """The path prefixes that belong to this vendor. If the prefixes of two vendors match, the longer prefix wins: Fifth
    Element and Immuta share `/jobs`."""
    job_path: str
    """Where its clients read a job, with `{job_id}` in the place of the id, and `{collection}` if it names one."""
    job_body: str | None = None
    """What they post there; None where they read it by GET."""


NONE: Final = "none"
"""The value of the setting that disables all dialects."""


class UnknownDialectError(ValueError):
    """The requested dialect is not in this package."""


def names() -> tuple[str, ...]:
    """Return the names of all dialects of this package without importing them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def read_names(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of dialect names, or `none`; raise UnknownDialectError with a message for people."""
    chosen = tuple(dict.fromkeys(name for part in text.lower().split(",") if (name := part.strip())))
    if chosen == (NONE,):
        return ()
    for name in chosen:
        if name not in names():
            near = difflib.get_close_matches(name, names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}, and {NONE}."
            raise UnknownDialectError(f"{name} is no dialect of Jobtrack; {hint}")
    return chosen


@cache
def discover(chosen: tuple[str, ...] | None = None) -> tuple[Dialect, ...]:
    """Import the dialects of this package in order of their names: all of them, or only `chosen`."""
    return tuple(import_module(f"{__name__}.{name}").DIALECT for name in names() if chosen is None or name in chosen)


def openapi(dialect: Dialect) -> dict[str, Any]:
    """Return a dialect's OpenAPI document, built from its routes only, with the vendor's names."""
    # Copied, because FastAPI returns objects that it shares with the routes.
    document: dict[str, Any] = copy.deepcopy(
        get_openapi(
            title=dialect.title,
            version=dialect.version,
            description=dialect.description,
            tags=[{"name": name, "description": text} for name, text in dialect.tags.items()],
            routes=dialect.router.routes,
        )
    )
    schemas = document.get("components", {}).get("schemas", {})
    _drop_framework_errors(document["paths"], schemas)
    for route in dialect.router.routes:
        if isinstance(route, APIRoute):
            _restore_own_errors(schemas, route)
            _restore_nulls(document["paths"].get(route.path_format, {}), schemas, route)
    complete(document)
    show_parameters(document)
    return document


def _drop_framework_errors(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Remove the 422 response that FastAPI adds to every operation with a parameter.

    It is recognized by its description: a dialect that does respond with 422 declares it with a description of its own,
    possibly with a schema of the same name, since some vendors use FastAPI too.
    """
    all_responses = [operation["responses"] for path in paths.values() for operation in path.values()]
    for responses in all_responses:
        if responses.get("422", {}).get("description") == _FRAMEWORK_DESCRIPTION:
            del responses["422"]
    if _FRAMEWORK_ERRORS[0] in schemas and _FRAMEWORK_REF not in str(all_responses):
        for name in _FRAMEWORK_ERRORS:
            schemas.pop(name, None)


def _restore_own_errors(schemas: dict[str, Any], route: APIRoute) -> None:
    """Restore a vendor's schema where FastAPI has written its own of the same name over it."""
    for response in route.responses.values():
        model = response.get("model")
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__name__ == _FRAMEWORK_ERRORS[0]:
            own = model.model_json_schema(ref_template=SCHEMAS + "{model}", mode="serialization")
            schemas.update(own.pop("$defs", {}))
            schemas[_FRAMEWORK_ERRORS[0]] = own


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = annotation.__value__ if isinstance(annotation, TypeAliasType) else annotation
    return get_args(union) or (union,)


def _restore_nulls(path: dict[str, Any], schemas: dict[str, Any], route: APIRoute) -> None:
    """Restore the examples of a route: FastAPI drops null values from them, which are part of the vendor's format."""
    body = route.body_field.field_info.annotation if route.body_field else None
    declared = (body, route.response_model, *(response.get("model") for response in route.responses.values()))
    # Alternative models are declared as a union.
    for model in (member for annotation in declared for member in _alternatives(annotation)):
        extra = getattr(model, "model_config", {}).get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in extra and model.__name__ in schemas:
            schemas[model.__name__]["examples"] = copy.deepcopy(extra["examples"])
    for method in route.methods or ():
        responses = path.get(method.lower(), {}).get("responses", {})
        for status, response in route.responses.items():
            for media_type, content in response.get("content", {}).items():
                for keyword in ("example", "examples"):
                    if keyword in content:
                        responses[str(status)]["content"][media_type][keyword] = copy.deepcopy(content[keyword])
