"""The routes of a router."""

from typing import Any

from fastapi.routing import APIRoute


def routes(router: Any) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]
