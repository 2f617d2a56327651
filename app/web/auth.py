"""Keys and scopes: where a key is found, who it stands for, and which right a route declares."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security.base import SecurityBase

from app.domain.errors import ForbiddenError, UnauthorizedError
from app.domain.principal import Principal, Scope
from app.web.deps import client_address, principal, services

Credentials: TypeAlias = Callable[[Request], str | None]
"""Finds the key in a request, or None. A dialect brings its own where the vendor does not send a bearer."""


Authenticate: TypeAlias = Callable[[Request], Awaitable[Principal]]
"""Finds who sent a request, stores and returns it, or raises an error that says why it is refused."""


def bearer_key(request: Request) -> str | None:
    """Find the key in `Authorization: Bearer <key>`. Reject two such headers:
    proxies disagree on which one wins.
    """
    # On the raw list, which is what every request goes through: a third of the time of a look into the mapping.
    values = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, key = values[0].decode("latin-1").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


class KeyScheme(SecurityBase):
    """How a key travels, for the OpenAPI document, and the mark of a parameter that is the caller. The check itself is
    the route class's, before any body is read.
    """

    def __init__(self, name: str, model: SecurityModel) -> None:
        self.scheme_name = name
        self.model = model

    def __call__(self, request: Request) -> Principal:
        """Return the principal that the route class has found."""
        return principal(request)


BEARER = KeyScheme(
    "bearer",
    HTTPBearer(
        description="The key alone, `jt_...`, without the word Bearer. `make run` printed the first one, or named the "
        "file that has it."
    ),
)


def requires(*scopes: Scope, scheme: KeyScheme = BEARER) -> Any:
    """Declare a route's scope: as `dependencies=[requires(Scope.READ)]`, or on a parameter, which gets the caller.

    Of several scopes one suffices; the route decides what each may see.
    """
    return Security(scheme, scopes=[scope.value for scope in scopes])


def nobody() -> None:
    """Do nothing: the mark of a route that asks for no key."""


public: Any = Depends(nobody)
"""Declare that a route asks for no key: `dependencies=[public]`."""


def scopes_of(dependant: Dependant) -> frozenset[Scope]:
    """Find the scopes of which a route wants one; none for a public one. A route without either is a mistake:
    LookupError.
    """
    pending, found, is_public = [dependant], set[frozenset[str]](), False
    while pending:
        current = pending.pop()
        if current.own_oauth_scopes:
            found.add(frozenset(current.own_oauth_scopes))
        is_public = is_public or current.call is nobody
        pending.extend(current.dependencies)
    if len(found) > 1 or bool(found) == is_public:
        raise LookupError("a route declares once which scopes it wants, or that it is public")
    return frozenset(Scope(scope) for scopes in found for scope in scopes)


def store_caller(request: Request, caller: Principal) -> Principal:
    """Store with the request who sent it, where its route finds it."""
    # Write to the scope directly: `request.state` reads from it, and building the State object is not free.
    request.scope["state"]["principal"] = caller
    return caller


def key_sent(credentials: Credentials) -> Authenticate:
    """Return what authenticates requests by the key that they carry."""

    async def authenticate(request: Request) -> Principal:
        key = credentials(request)
        if key is None:
            raise UnauthorizedError("This needs a key, sent as `Authorization: Bearer <key>`.")
        keys = services(request).keys
        found = keys.remembered(key)
        if found is None:
            found = await keys.authenticate(key, client_address(request))
        return store_caller(request, found)

    return authenticate


bearer: Authenticate = key_sent(bearer_key)
"""Authenticates by `Authorization: Bearer <key>`."""


def check_scope(caller: Principal, *scopes: Scope) -> None:
    """Refuse a caller whose key has none of the scopes."""
    if caller.scopes.isdisjoint(scopes) and not any(caller.may(scope) for scope in scopes):
        names = " or ".join(f"`{scope.value}`" for scope in sorted(scopes))
        raise ForbiddenError(f"The key lacks the scope {names}.")
