"""The start page: what needs a hand, kept current; the first worker; and, for who is not signed in, what this is."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from app.core.key_admin import NewKey
from app.dashboard.client_wheel import ClientWheel
from app.dashboard.formats import from_now
from app.dashboard.now import texts
from app.dashboard.now.connection import Connection, connection_of
from app.dashboard.now.reading import MOST_WORKERS, newest_job, read_now
from app.dashboard.now.views import view_of
from app.dashboard.pages import NATIVE
from app.dashboard.site import address_of, current_session, page, pages_router, render_error
from app.domain.principal import Scope
from app.web.auth import public, requires, store_caller
from app.web.deps import Acting, Caller, CoreServices, services
from app.web.routing import guarded_route

FIRST_SCOPES: Final = frozenset({Scope.SUBMIT, Scope.WORK})
FIRST_KEY_LIVES: Final = timedelta(days=30)

now_pages = pages_router()


def make_start_page(titles: Mapping[str, str], wheel: ClientWheel | None) -> APIRouter:
    """Build the router of `/`, which answers with and without a session. `titles` maps the name of each API to its
    title; `wheel` is the client that is served.
    """
    router = APIRouter(route_class=guarded_route(render=render_error), dependencies=[public], include_in_schema=False)
    dialects = [(name, title) for name, title in titles.items() if name != NATIVE]

    @router.get("/")
    async def start(request: Request) -> Response:
        found = await current_session(request)
        if found is None or not found.may(Scope.READ):
            pip = None if wheel is None else wheel.address(address_of(request))
            return page(request, "now/welcome.html", dialects=dialects, wheel=pip, unable=found)
        caller = store_caller(request, found)
        core = services(request)
        read = await read_now(core, caller.project_id)
        if read is None:
            return await _first_worker(request, core, caller)
        return page(request, "now/page.html", now=view_of(read))

    return router


@now_pages.get("/ui/now", dependencies=[requires(Scope.READ)])
async def live(request: Request, caller: Caller, core: CoreServices) -> Response:
    """Answer with the part of the page that changes."""
    read = await read_now(core, caller.project_id)
    if read is None:
        return Response(None, 204, {"HX-Redirect": "/"})
    return page(request, "now/now.html", now=view_of(read))


@now_pages.get("/ui/first-worker", dependencies=[requires(Scope.READ)])
async def show_first_worker(request: Request, caller: Caller, core: CoreServices) -> Response:
    """Show the texts to paste, also where there are jobs already."""
    return await _first_worker(request, core, caller)


@now_pages.get("/ui/first-worker/live", dependencies=[requires(Scope.READ)])
async def show_connection(request: Request, caller: Caller, core: CoreServices) -> Response:
    """Answer with who has connected, and the newest job."""
    return page(request, "now/connection.html", connection=await _connection(core, caller))


@now_pages.post("/ui/first-worker/key", dependencies=[requires(Scope.ADMIN)])
async def make_key(request: Request, actor: Acting, core: CoreServices) -> Response:
    """Create the key of the first worker, and show it once, in the text that it belongs into."""
    caller = actor.principal
    new_key = NewKey(
        name="first worker",
        scopes=FIRST_SCOPES,
        queues=caller.queues,
        expires_at=from_now(FIRST_KEY_LIVES),
    )
    stored, key = await core.key_admin.create(actor, new_key)
    exports = texts.exports(address_of(request), key or texts.NO_KEY)
    return page(request, "now/exports.html", exports=exports, stored=stored)


async def _first_worker(request: Request, core: CoreServices, caller: Caller) -> Response:
    return page(
        request,
        "now/first_worker.html",
        exports=texts.exports(address_of(request)),
        stored=None,
        workers=texts.WORKERS,
        create=texts.CREATE,
        connection=await _connection(core, caller),
    )


async def _connection(core: CoreServices, caller: Caller) -> Connection:
    workers, _ = await core.workers.page(caller.project_id, limit=MOST_WORKERS)
    return connection_of(workers, await newest_job(core, caller.project_id))
