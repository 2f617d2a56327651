"""The Python client of this very version, for pip: a wheel of `jobtrack_client` alone, which `make assets` builds.

It is never built on request. An installation from sources in which nobody built it says so.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from app.dashboard.site import address_of
from app.domain.errors import NotFoundError
from app.paths import wheels_dir
from app.version import running_version
from app.web.auth import public
from app.web.conditions import names_tag
from app.web.problems import problem_response
from app.web.routing import guarded_route

PREFIX: Final = "/client/"
NOT_BUILT: Final = (
    "The Python client was not built into this installation: run `make assets` in a checkout of this version and start "
    "the service from there, or `pip install ./client` in the checkout."
)
# The name has the version, and one version's wheel is the same bytes wherever it is built.
_KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class ClientWheel:
    """The wheel as it is served."""

    name: str
    content: bytes
    sha256: str

    def address(self, origin: str) -> str:
        """Return what pip takes: where the wheel is, and which bytes it has to be."""
        return f"{origin}{PREFIX}{self.name}#sha256={self.sha256}"


def read_client_wheel(folder: Path | None = None) -> ClientWheel | None:
    """Read the wheel of the running version; None where it was not built."""
    path = (folder or wheels_dir()) / f"jobtrack_client-{running_version()}-py3-none-any.whl"
    if not path.is_file():
        return None
    content = path.read_bytes()
    return ClientWheel(path.name, content, hashlib.sha256(content).hexdigest())


def make_client_routes(wheel: ClientWheel | None) -> APIRouter:
    """Build the router of the client: its address as a line of text, and the wheel itself."""
    router = APIRouter(
        route_class=guarded_route(render=problem_response), dependencies=[public], include_in_schema=False
    )

    @router.get(PREFIX)
    async def client_address(request: Request) -> Response:
        if wheel is None:
            raise NotFoundError(NOT_BUILT)
        return Response(f"{wheel.address(address_of(request))}\n", media_type="text/plain")

    @router.get(f"{PREFIX}{{name}}")
    async def client_wheel(request: Request, name: str) -> Response:
        if wheel is None:
            raise NotFoundError(NOT_BUILT)
        if name != wheel.name:
            raise NotFoundError(f"There is no such file. The client of this version is {PREFIX}{wheel.name}.")
        headers = {"ETag": f'"{wheel.sha256}"', "Cache-Control": _KEPT}
        if names_tag(request.headers, wheel.sha256):
            return Response(status_code=304, headers=headers)
        return Response(wheel.content, 200, headers, "application/octet-stream")

    return router
