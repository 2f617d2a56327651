"""The table finds for every path what the framework's router would find."""

import re
from collections.abc import Iterator

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match

from app import dialects
from app.api import document
from app.dashboard.pages import make_pages
from app.web.auth import public
from app.web.problems import problem_response
from app.web.route_table import RouteTable
from app.web.routing import GuardedRoute, guarded_route

ROUTERS = (*document.ROUTERS, *(one.router for one in dialects.discover()), make_pages({}, dict))
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
TABLE = RouteTable(ROUTERS)
METHODS = ("GET", "POST", "PUT", "DELETE")
# Whatever is a step of some path may be somebody's id, too.
STEPS = sorted({step for route in ROUTES for step in route.path.split("/") if step and "{" not in step})
TEXTS = ("x", "é", "a b", "a\n", "..", "01890a5d-ac96-774b-bcce-b302099a8057", *STEPS)


def by_router(method: str, path: str) -> tuple[APIRoute, dict[str, str]] | None:
    """What the router finds: the first route that matches whole."""
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    for route in ROUTES:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return route, found["path_params"]
    return None


def paths(template: str) -> Iterator[str]:
    """The template with each text in place of each parameter, and paths that are almost the same."""
    for text in TEXTS:
        yield re.sub(r"{\w+(:path)?}", text, template)
        # A parameter of several steps takes these; a parameter of one does not.
        yield re.sub(r"{\w+(:path)?}", f"{text}/{text}", template)
    filled = re.sub(r"{\w+(:path)?}", "x", template)
    yield from (f"{filled}/", f"{filled}\n", f"{filled}x", filled[:-1], filled.replace("x", ""), filled.upper())


def test_every_route_is_guarded_and_called_by_us() -> None:
    assert [route.path for route in ROUTES if not isinstance(route, GuardedRoute)] == []


@pytest.mark.parametrize("template", sorted({route.path for route in ROUTES}))
def test_table_and_router_find_the_same_route_with_the_same_parameters(template: str) -> None:
    for path in paths(template):
        for method in METHODS:
            found = TABLE.find(method, path)
            if found is None and path.endswith("\n"):
                # The router's patterns allow a line feed at the end, and so it is the router that answers these.
                continue
            by_table = found and (found[0].route, found[1])
            assert by_table == by_router(method, path), (method, path)


def test_of_two_routes_with_one_path_the_first_counts() -> None:
    router = APIRouter(route_class=guarded_route(render=problem_response), dependencies=[public])

    async def answer() -> None: ...

    async def answer_for(name: str) -> None: ...

    router.add_api_route("/x", answer, name="first")
    router.add_api_route("/x", answer, name="second")
    router.add_api_route("/x/{name}", answer_for, name="third")
    router.add_api_route("/x/{name}", answer_for, name="fourth")
    table = RouteTable([router])
    for path, name in (("/x", "first"), ("/x/y", "third")):
        found = table.find("GET", path)
        assert found is not None
        assert found[0].route.name == name
