"""A route's function is called with what it declares, and with nothing that somebody else has declared."""

from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    Path,
    Query,
    Request,
    Response,
)
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from app.domain.principal import Principal, Scope
from app.web import deps
from app.web.auth import public, requires
from app.web.deps import Caller, CoreServices
from app.web.detail_errors import render_detail
from app.web.routing import guarded_route


class Wanted(BaseModel):
    """A query with a parameter of each kind."""

    limit: int = Field(default=5, ge=0)
    kind: list[str] | None = Field(default=None, max_length=2)
    name: str


class Document(BaseModel):
    n: int


async def services() -> str:
    """A dependency of somebody else, with the name of ours."""
    return "not ours"


async def limit_rate() -> None:
    """Somebody's guard."""


async def with_namesake(given: Annotated[str, Depends(services)]) -> Response:
    return Response(given)


async def with_cookie(session: Annotated[str, Cookie()]) -> Response:
    return Response(session)


async def with_response(response: Response) -> Response:
    return response


async def with_tasks(tasks: BackgroundTasks) -> Response:
    return Response(background=tasks)


async def with_part_of_body(document: Annotated[Document, Body(embed=True)]) -> Response:
    return Response(str(document.n))


async def with_two_bodies(one: Document, two: Document) -> Response:
    return Response(str(one.n + two.n))


def in_a_thread() -> Response:
    return Response()


@pytest.mark.parametrize(
    "endpoint",
    [
        with_namesake,
        with_cookie,
        with_response,
        with_tasks,
        with_part_of_body,
        with_two_bodies,
        in_a_thread,
    ],
)
def test_what_we_could_not_fill_is_refused_when_the_route_is_declared(endpoint: Callable[..., Any]) -> None:
    router = APIRouter(route_class=guarded_route(render=render_detail), dependencies=[public])
    with pytest.raises(LookupError, match="/x cannot be called"):
        router.add_api_route("/x", endpoint, methods=["POST"])


async def test_guard_that_we_do_not_know_is_not_left_out_silently() -> None:
    router = APIRouter(route_class=guarded_route(render=render_detail), dependencies=[public])

    async def answer() -> Response:
        return Response()

    with pytest.raises(LookupError, match="limit_rate"):
        router.add_api_route("/x", answer, dependencies=[Depends(limit_rate)])


async def test_our_own_dependencies_are_known_whatever_the_parameters_are_called() -> None:
    router = APIRouter(route_class=guarded_route(render=render_detail))

    async def answer(
        request: Request,
        one: Caller,
        two: Annotated[Principal, requires(Scope.READ)],
        three: CoreServices,
        four: Annotated[object, Depends(deps.services)],
    ) -> Response:
        return Response(repr((request, one, two, three, four)))

    router.add_api_route("/x", answer)


def both_ways(endpoint: Callable[..., Any], path: str) -> list[FastAPI]:
    """The function behind a route of FastAPI's own and behind one of ours."""
    apps = []
    for kind in (APIRoute, guarded_route(render=render_detail)):
        router = APIRouter(route_class=kind)
        router.add_api_route(path, endpoint, methods=["POST"], dependencies=[public])
        app = FastAPI()
        app.include_router(router)
        apps.append(app)
    return apps


async def read_query(query: Annotated[Wanted, Query()]) -> Response:
    return Response(query.model_dump_json(), media_type="application/json")


async def read_places(
    place: Annotated[str, Path(max_length=3)],
    other: str,
    flag: Annotated[bool, Query()],
    many: Annotated[list[int], Query()] = [],  # noqa: B006
    x_name: Annotated[str | None, Header(max_length=3)] = None,
    document: Annotated[Document | None, Body()] = None,
) -> Response:
    found = {"place": place, "other": other, "flag": flag, "many": many, "name": x_name, "n": document and document.n}
    return Response(repr(found))


@pytest.mark.parametrize(
    ("endpoint", "path", "sent"),
    [
        (read_query, "/x", {"url": "/x"}),
        (read_query, "/x", {"url": "/x?name=a&unknown=1"}),
        (read_query, "/x", {"url": "/x?name=a&name=b&kind=1&kind=2&limit=3"}),
        (read_query, "/x", {"url": "/x?limit=-1&kind=1&kind=2&kind=3"}),
        (read_query, "/x", {"url": "/x?name=&limit="}),
        (read_places, "/x/{place}/{other}", {"url": "/x/abc/d?flag=1"}),
        (read_places, "/x/{place}/{other}", {"url": "/x/abc/d?flag=0&many=1&many=2", "headers": {"X-Name": "me"}}),
        (read_places, "/x/{place}/{other}", {"url": "/x/abcd/d?flag=x&many=a", "headers": {"X-Name": "meme"}}),
        (read_places, "/x/{place}/{other}", {"url": "/x/abcd/d", "json": {"n": "one"}}),
        (read_places, "/x/{place}/{other}", {"url": "/x/abc/d?flag=1", "json": {"n": 1}}),
        (read_places, "/x/{place}/{other}", {"url": "/x/abc/d?flag=1", "json": []}),
    ],
)
async def test_parameters_are_read_as_the_framework_reads_them(
    endpoint: Callable[..., Any], path: str, sent: dict[str, Any]
) -> None:
    answers = []
    for app in both_ways(endpoint, path):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            answers.append(await client.post(**sent))
    framework, ours = answers
    assert ours.status_code == framework.status_code
    if ours.is_success:
        assert ours.text == framework.text
        return
    [theirs, mine] = [[(one["loc"], one["type"], one["msg"]) for one in a.json()["detail"]] for a in answers]
    assert mine == theirs
