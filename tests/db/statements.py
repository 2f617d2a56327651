"""All statements that the service sends, found where they are declared."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import app.db
import app.live
from app.db import job_lists
from app.db.statement import Statement


def _modules() -> Iterator[ModuleType]:
    for package in (app.db, app.live):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _declared(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, value in vars(module).items():
        if isinstance(value, dict):
            yield from ((f"{name}[{key}]", each) for key, each in value.items())
        elif isinstance(value, list):
            yield from ((f"{name}[{n}]", each) for n, each in enumerate(value))
        else:
            yield name, value


def every_statement() -> dict[str, Statement[Any, Any]]:
    """By the place where it is declared. What is built when it is needed is built here."""
    statements = {
        f"{module.__name__.removeprefix('app.')}.{name}": value
        for module in _modules()
        for name, value in _declared(module)
        if isinstance(value, Statement)
    }
    for walk in job_lists.WALKS:
        statements[f"db.job_lists.listing({walk})"] = job_lists.listing(walk)
        statements[f"db.job_lists.id_listing({walk})"] = job_lists.id_listing(walk)
    return statements


STATEMENTS = every_statement()
