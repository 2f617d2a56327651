"""The page of the system: the version and the feed for everybody, all of it for whoever runs the installation."""

from typing import Any

from fastapi import Request, Response

from app.dashboard.site import page, pages_router
from app.dashboard.system.views import feed_facts, installation_facts, settings_of
from app.domain.principal import Principal, Scope
from app.version import running_version
from app.web.auth import requires
from app.web.deps import Caller, CoreServices, Services

system_pages = pages_router()


@system_pages.get("/ui/system", dependencies=[requires(Scope.READ)])
async def show(request: Request, caller: Caller, services: CoreServices) -> Response:
    """Show what this installation is and how it fares. What is of all projects is an operator's alone to see."""
    project = await services.projects.get(caller.project_id)
    facts = feed_facts(services.installation.feed())
    whole: dict[str, Any] = {"found": None}
    if caller.may(Scope.OPERATOR):
        whole = await _whole(services, caller)
        facts = [*whole.pop("facts"), *facts]
    settings = settings_of(request.scope["state"].get("settings", ())) if caller.may(Scope.OPERATOR) else []
    return page(
        request,
        "system/page.html",
        version=running_version() or "0",
        project=project,
        facts=facts,
        settings=settings,
        **whole,
    )


async def _whole(services: Services, caller: Principal) -> dict[str, Any]:
    found = await services.installation.describe(caller.project_id)
    facts = installation_facts(found, await services.health.failures())
    largest = max((table.size for table in found.tables), default=0) or 1
    widths = {table.name: max(1, round(1000 * table.size / largest)) for table in found.tables}
    return {"found": found, "widths": widths, "facts": facts}
