"""One-time codes with which a browser signs in to the service's own pages."""

from fastapi import Response

from app.api.keys.wire import SessionCode
from app.api.responses import json_response
from app.api.routes import problems, router
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Acting, CoreServices

sessions = router("Keys")


@sessions.post(
    "/sessions/codes",
    operation_id="sessions_create_code",
    summary="Create a one-time code that signs a browser in",
    status_code=201,
    response_model=SessionCode,
    responses={201: {"description": "The code. It is stored as a digest and cannot be shown again."}, **problems()},
    dependencies=[requires(*Scope)],
)
async def create_code(actor: Acting, services: CoreServices) -> Response:
    """Create a code that signs a browser in to the service's own pages with the rights of the calling key, whatever
    they are. It works once, within five minutes: open the `path` of the answer at the address of the service. The code
    is the fragment of that address, which no log, proxy or Referer sees.
    """
    code, seconds = await services.sessions.make_code(actor)
    document = {"code": code, "path": f"/sign-in#{code}", "expires_in_seconds": seconds}
    return json_response(document, 201, {"Cache-Control": "no-store"})
