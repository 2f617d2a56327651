"""The page of keys: what there is and what each may do; and what makes and ends them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from app.dashboard.ends import end_of
from app.dashboard.forms import faults_of, read_form, text_of
from app.dashboard.keys.forms import EMPTY, LENGTHS, KeyForm, read_new_key
from app.dashboard.keys.views import PATH, key_row, key_rows, scope_choices
from app.dashboard.links import link
from app.dashboard.site import changed, page, pages_router
from app.domain import times
from app.domain.errors import ForbiddenError, InvalidError, NotFoundError
from app.domain.principal import Principal, Scope
from app.web.auth import check_scope, requires
from app.web.cursors import CursorText, read_cursor, write_cursor
from app.web.deps import Acting, Caller, CoreServices, Services

key_pages = pages_router()

PAGE: Final = 50
CHANGED: Final = "keys-changed"
_ADMIN: Final = [requires(Scope.ADMIN)]
KeyId = Annotated[str, Query(max_length=64)]


@key_pages.get(PATH, dependencies=[requires(*Scope)])
async def show(request: Request, caller: Caller, services: CoreServices, cursor: CursorText = "") -> Response:
    """Show the keys of the project, newest first."""
    try:
        check_scope(caller, Scope.ADMIN)
    except ForbiddenError as error:
        raise ForbiddenError(f"This key may not manage keys. {error.message}") from None
    return page(request, "keys/page.html", **await _table(services, caller, cursor), **_form(caller, _empty(caller)))


@key_pages.get(f"{PATH}/table", dependencies=_ADMIN)
async def show_table(request: Request, caller: Caller, services: CoreServices, cursor: CursorText = "") -> Response:
    """Show the keys again after a change."""
    return page(request, "keys/table.html", **await _table(services, caller, cursor))


@key_pages.post(f"{PATH}/create", dependencies=_ADMIN)
async def create(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Create a key, and show it: in this answer alone."""
    caller = actor.principal
    new_key = read_new_key(await read_form(request))
    if isinstance(new_key, KeyForm):
        return page(request, "keys/form.html", 422, **_form(caller, new_key))
    stored, secret = await services.key_admin.create(actor, new_key)
    return changed(
        request,
        f"The key {stored.name} is made.",
        CHANGED,
        part="keys/made.html",
        row=key_row(stored, caller),
        secret=secret,
        **_form(caller, _empty(caller)),
    )


@key_pages.get(f"{PATH}/revoke", dependencies=_ADMIN)
async def ask_revoke(request: Request, caller: Caller, services: CoreServices, key: KeyId) -> Response:
    """Ask whether a key is to be revoked, and show what ends with it."""
    stored = await services.key_admin.get(caller, _id(key))
    return page(request, "keys/revoke.html", row=key_row(stored, caller))


@key_pages.post(f"{PATH}/revoke", dependencies=_ADMIN)
async def revoke(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Revoke a key for good."""
    key_id = _id(text_of(await read_form(request), "key"))
    stored = await services.key_admin.get(actor.principal, key_id)
    await services.key_admin.revoke(actor, key_id)
    return changed(request, f"The key {stored.name} is revoked. What it holds open ends within 2 seconds.", CHANGED)


@key_pages.get(f"{PATH}/end", dependencies=_ADMIN)
async def ask_end(request: Request, caller: Caller, services: CoreServices, key: KeyId) -> Response:
    """Show the form that sets when a key ends."""
    stored = await services.key_admin.get(caller, _id(key))
    return page(request, "keys/end.html", **_end_form(key_row(stored, caller), {"for": "", "at": ""}, {}))


@key_pages.post(f"{PATH}/end", dependencies=_ADMIN)
async def set_end(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Set when a key ends, or that it never does."""
    form = await read_form(request)
    key_id = _id(text_of(form, "key"))
    try:
        end = end_of(form)
    except InvalidError as error:
        row = key_row(await services.key_admin.get(actor.principal, key_id), actor.principal)
        fields = {field: text_of(form, field) for field in ("for", "at")}
        return page(request, "keys/end.html", 422, **_end_form(row, fields, faults_of(error, *fields)))
    stored = (await services.key_admin.set_expiry(actor, key_id, end)).value
    if stored.expires_at != end:
        told = f"The key {stored.name} ends no later than the one that you are signed in with."
    else:
        told = f"The key {stored.name} {'never ends' if end is None else 'has a new end'}."
    return changed(request, told, CHANGED)


async def _table(services: Services, caller: Principal, cursor: str) -> dict[str, Any]:
    bound = ("page", "keys")
    before = None
    if cursor:
        before = times.FIRST + times.MICROSECOND * read_cursor(cursor, *bound, most=times.microseconds(times.END))
    keys, next_before = await services.key_admin.page(caller, before=before, limit=PAGE)
    following = "" if next_before is None else write_cursor(times.microseconds(next_before), *bound)
    return {
        "rows": key_rows(keys, caller),
        "table": link(f"{PATH}/table", cursor=cursor),
        "next": link(PATH, cursor=following) if following else "",
        "first": PATH if cursor else "",
    }


def _empty(caller: Principal) -> KeyForm:
    # What a key that is limited makes is limited as well.
    return KeyForm(EMPTY | {"queues": "\n".join(sorted(caller.queues or ()))})


def _form(caller: Principal, form: KeyForm) -> dict[str, Any]:
    return {
        "fields": form.fields,
        "faults": form.faults,
        "chosen": form.scopes,
        "scopes": scope_choices(caller),
        "lengths": LENGTHS,
        "is_limited": caller.queues is not None,
        "own_end": caller.expires_at,
    }


def _end_form(row: Any, fields: Mapping[str, str], faults: Mapping[str, str]) -> dict[str, Any]:
    return {"row": row, "fields": fields, "faults": faults, "lengths": LENGTHS}


def _id(text: str) -> str:
    if not (text.isascii() and text.isalnum()):
        raise NotFoundError("There is no such key.")
    return text
