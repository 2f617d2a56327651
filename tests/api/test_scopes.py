"""Every route declares who may call it."""

from typing import Any

import pytest
from fastapi import APIRouter, Response

from app.api import document
from app.dialects import discover
from app.domain.principal import Scope
from app.web.auth import public, requires, scopes_of
from app.web.problems import problem_response
from app.web.routing import guarded_route
from tests.api.route_list import routes

PUBLIC = {"/livez", "/readyz"}


def test_every_native_route_declares_a_scope() -> None:
    found = {route.path: scopes_of(route.dependant) for router in document.ROUTERS for route in routes(router)}
    assert {path for path, scopes in found.items() if not scopes} == PUBLIC


def test_every_dialect_route_declares_a_scope() -> None:
    for dialect in discover():
        for route in routes(dialect.router):
            scopes_of(route.dependant)


def test_scopes_by_what_a_route_does() -> None:
    found = {route.operation_id: scopes_of(route.dependant) for router in document.ROUTERS for route in routes(router)}
    assert found.pop("jobs_get_input") == {Scope.SUBMIT, Scope.WORK}
    assert found.pop("sessions_create_code") == set(Scope), "whatever a key may, its reader may sign in"
    assert {name: next(iter(scopes), None) for name, scopes in found.items()} == {
        "jobs_create": Scope.SUBMIT,
        "jobs_create_batch": Scope.SUBMIT,
        "jobs_get": Scope.READ,
        "jobs_list": Scope.READ,
        "jobs_waiting": Scope.READ,
        "jobs_put_input": Scope.SUBMIT,
        "jobs_delete": Scope.SUBMIT,
        "jobs_cancel_many": Scope.SUBMIT,
        "jobs_rerun_many": Scope.SUBMIT,
        "jobs_wait": Scope.READ,
        "jobs_rerun": Scope.SUBMIT,
        "jobs_cancel": Scope.SUBMIT,
        "items_list": Scope.READ,
        "items_list_errors": Scope.READ,
        "claims_create": Scope.WORK,
        "jobs_report": Scope.WORK,
        "jobs_complete": Scope.WORK,
        "jobs_fail": Scope.WORK,
        "jobs_release": Scope.WORK,
        "reports_create": Scope.WORK,
        "workers_list": Scope.READ,
        "keys_create": Scope.ADMIN,
        "keys_list": Scope.ADMIN,
        "keys_get": Scope.ADMIN,
        "keys_set_expiry": Scope.ADMIN,
        "keys_revoke": Scope.ADMIN,
        "projects_create": Scope.OPERATOR,
        "projects_list": Scope.OPERATOR,
        "projects_get": Scope.OPERATOR,
        "queues_list": Scope.READ,
        "queues_get": Scope.READ,
        "queues_put": Scope.ADMIN,
        "queues_pause": Scope.ADMIN,
        "queues_delete": Scope.ADMIN,
        "queues_resume": Scope.ADMIN,
        "jobs_events": Scope.READ,
        "jobs_logs": Scope.READ,
        "jobs_stream": Scope.READ,
        "events_stream": Scope.READ,
        "livez": None,
        "readyz": None,
        "metrics": Scope.METRICS,
    }


@pytest.mark.parametrize(
    "dependencies", [[], [public, requires(Scope.READ)], [requires(Scope.READ), requires(Scope.WORK)]]
)
def test_route_without_exactly_one_declaration_cannot_be_built(dependencies: list[Any]) -> None:
    router = APIRouter(route_class=guarded_route(render=problem_response))

    async def answer() -> Response:
        return Response()

    with pytest.raises(LookupError, match="declares once"):
        router.add_api_route("/x", answer, dependencies=dependencies)
