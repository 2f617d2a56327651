"""Keys: make, show, end. A key itself is in one answer ever: the one that made it."""

from typing import Annotated, Any

from fastapi import Body, Path, Query, Response

from app.api.examples import KEY_ID, QUEUE
from app.api.keys.pages import DEFAULT_LIMIT, Cursor, Limit, cursor_of, moment_of, page_size
from app.api.keys.translate import key_document
from app.api.keys.wire import KeyEndIn, KeyIn, KeyList, KeyMade, KeyOut
from app.api.responses import json_response
from app.api.routes import problems, router
from app.core.key_admin import NewKey
from app.domain.errors import NotFoundError
from app.domain.ids import parse_id
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import Acting, CoreServices
from app.web.idempotency import IdempotencyKey, replayed_headers

keys = router("Keys")
_EXAMPLE = {"name": "example", "scopes": ["work"], "queues": [QUEUE], "expires_at": None}

Admin = Annotated[Principal, requires(Scope.ADMIN)]
KeyId = Annotated[
    str, Path(alias="key_id", description="The key's id: the middle part of `jt_<id>_...`.", examples=[KEY_ID])
]
ProjectId = Annotated[
    str | None,
    Query(alias="project_id", description="A project other than the key's own; only for a key with `operator`."),
]


def _project(text: str | None) -> Any:
    project_id = None if text is None else parse_id(text)
    if text is not None and project_id is None:
        raise NotFoundError("There is no such project.")
    return project_id


@keys.post(
    "/keys",
    operation_id="keys_create",
    summary="Create a key",
    status_code=201,
    response_model=KeyMade,
    responses={
        201: {
            "headers": {"Location": {"description": "URL of the key.", "schema": {"type": "string"}}},
            "description": "The new key. `key` is shown only once; a repeat with the same Idempotency-Key gets null.",
        },
        **problems(body=True),
    },
    dependencies=[requires(Scope.ADMIN)],
)
async def create(
    actor: Acting, services: CoreServices, key: IdempotencyKey, body: Annotated[KeyIn, Body(examples=[_EXAMPLE])]
) -> Response:
    """Create a key with at most the rights of the calling key. Only its digest is stored: replace a lost key."""
    stored, secret = await services.key_admin.create(
        actor,
        NewKey(
            name=body.name,
            scopes=frozenset(body.scopes),
            queues=None if body.queues is None else frozenset(body.queues),
            expires_at=body.expires_at,
            project_id=body.project_id,
        ),
        idempotency=key,
    )
    headers = {"Location": f"/v1/keys/{stored.id}", "Cache-Control": "no-store", **replayed_headers(secret is None)}
    return json_response({**key_document(stored), "key": secret}, 201, headers)


@keys.get(
    "/keys",
    operation_id="keys_list",
    summary="List keys",
    response_model=KeyList,
    responses={200: {"description": "A page."}, **problems(404)},
)
async def list_keys(
    caller: Admin,
    services: CoreServices,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    project: ProjectId = None,
) -> Response:
    """List the keys of the project, newest first, including revoked ones. Keys of the same time share a page."""
    project_id = _project(project)
    bound = ("keys", str(project_id or caller.project_id))
    page, next_before = await services.key_admin.page(
        caller, project_id=project_id, before=moment_of(cursor, *bound), limit=page_size(limit)
    )
    return json_response({"keys": [key_document(key) for key in page], "next_cursor": cursor_of(next_before, *bound)})


@keys.get(
    "/keys/{key_id}",
    operation_id="keys_get",
    summary="Read a key",
    response_model=KeyOut,
    responses={200: {"description": "The key's metadata."}, **problems(404)},
)
async def get_key(caller: Admin, services: CoreServices, key_id: KeyId, project: ProjectId = None) -> Response:
    """Return a key's rights and when it was last used."""
    key = await services.key_admin.get(caller, _id(key_id), project_id=_project(project))
    return json_response(key_document(key))


@keys.put(
    "/keys/{key_id}",
    operation_id="keys_set_expiry",
    summary="Set a key's expiry",
    response_model=KeyOut,
    responses={200: {"description": "The updated key."}, **problems(404, 409, body=True)},
    dependencies=[requires(Scope.ADMIN)],
)
async def set_expiry(
    actor: Acting,
    services: CoreServices,
    key: IdempotencyKey,
    key_id: KeyId,
    body: Annotated[KeyEndIn, Body(examples=[{"expires_at": "2030-01-01T00:00:00Z"}])],
    project: ProjectId = None,
) -> Response:
    """Set a key's expiry, the only property that can change. A past time ends it within 2 seconds in every process,
    with everything that it holds open; null removes the expiry. The last operator key without an expiry cannot be given
    one.
    """
    stored, replayed = await services.key_admin.set_expiry(
        actor, _id(key_id), body.expires_at, project_id=_project(project), idempotency=key
    )
    return json_response(key_document(stored), 200, replayed_headers(replayed))


@keys.delete(
    "/keys/{key_id}",
    operation_id="keys_revoke",
    summary="Revoke a key",
    status_code=204,
    responses={204: {"description": "The key is revoked."}, **problems(404, 409)},
    dependencies=[requires(Scope.ADMIN)],
)
async def revoke(
    actor: Acting, services: CoreServices, key: IdempotencyKey, key_id: KeyId, project: ProjectId = None
) -> Response:
    """Revoke a key for good. Within 2 seconds every process rejects it, and ends the waits, claims, streams, uploads
    and downloads that it holds open. The last operator key cannot be revoked.
    """
    done = await services.key_admin.revoke(actor, _id(key_id), project_id=_project(project), idempotency=key)
    return Response(None, 204, replayed_headers(done.replayed))


def _id(text: str) -> str:
    """Check the form of a key's id, which also keeps text that PostgreSQL cannot store out of statements."""
    if not (text.isascii() and text.isalnum()) or len(text) > 64:
        raise NotFoundError("There is no such key.")
    return text
