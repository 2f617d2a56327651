"""The table finds for every path the route that says most of it, or what refuses the method."""

import re
from collections.abc import Iterator

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from app import dialects
from app.api import document
from app.dashboard.client_wheel import make_client_routes
from app.dashboard.pages import make_pages
from app.web.auth import public
from app.web.problems import problem_response
from app.web.route_table import RouteTable
from app.web.routing import GuardedRoute, guarded_route

ROUTERS = (
    *document.ROUTERS,
    *(one.router for one in dialects.discover()),
    make_pages({}, dict),
    make_client_routes(None),
)
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
TABLE = RouteTable(ROUTERS)
METHODS = ("GET", "POST", "PUT", "DELETE")
# Whatever is a step of some path may be somebody's id, too.
STEPS = sorted({step for route in ROUTES for step in route.path.split("/") if step and "{" not in step})
TEXTS = ("x", "é", "a b", "a\n", "..", "01890a5d-ac96-774b-bcce-b302099a8057", *STEPS)


REFUSED = "refused"
PATTERNS = [(route, re.compile(route.path_regex.pattern, re.DOTALL)) for route in ROUTES]


def literal_length(route: APIRoute) -> int:
    return len(re.sub(r"{[^}]*}", "", route.path))


def expected(method: str, path: str) -> tuple[APIRoute, dict[str, str]] | str | None:
    """What is right: of the routes that the framework's patterns allow, those with the most literal path, and of them
    the first with the method.
    """
    fitting = [(route, found.groupdict()) for route, pattern in PATTERNS if (found := pattern.fullmatch(path))]
    if not fitting:
        return None
    most = max(literal_length(route) for route, _ in fitting)
    of_path = [(route, found) for route, found in fitting if literal_length(route) == most]
    return next(((route, found) for route, found in of_path if method in (route.methods or ())), REFUSED)


def by_table(method: str, path: str) -> tuple[APIRoute, dict[str, str]] | str | None:
    found = TABLE.find(method, path)
    if found is None:
        return None
    entry, parameters = found
    return REFUSED if "get_refusal" in entry.handler.__qualname__ else (entry.route, parameters)


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
def test_path_decides_first_and_then_the_method(template: str) -> None:
    for path in paths(template):
        for method in METHODS:
            assert by_table(method, path) == expected(method, path), (method, path)


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
