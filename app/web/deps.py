"""What a route may ask for: the core services, and who is calling."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from app.domain.audit import Actor
from app.domain.principal import Principal

if TYPE_CHECKING:
    # For annotations alone: FastAPI never looks inside `Services`, and a dialect's pure tests need no core.
    from app.core.browser_sessions import BrowserSessions
    from app.core.bulk import Bulk
    from app.core.claims import Claims
    from app.core.events import Events
    from app.core.health import Health
    from app.core.inputs import Inputs
    from app.core.installation import Installations
    from app.core.items import Items
    from app.core.job_lists import JobLists
    from app.core.jobs import Jobs
    from app.core.key_admin import KeyAdmin
    from app.core.key_holds import KeyHolds
    from app.core.keys import ApiKeys
    from app.core.leases import Leases
    from app.core.logs import Logs
    from app.core.metrics import Metrics
    from app.core.projects import Projects
    from app.core.queues import Queues
    from app.core.waiting import Explanations
    from app.core.waits import Waits
    from app.core.workers import Workers


@dataclass(frozen=True, slots=True)
class Services:
    """The core as the edges see it; the runtime builds one for `create_app`."""

    jobs: "Jobs"
    lists: "JobLists"
    bulk: "Bulk"
    claims: "Claims"
    leases: "Leases"
    waits: "Waits"
    waiting: "Explanations"
    items: "Items"
    events: "Events"
    logs: "Logs"
    inputs: "Inputs"
    queues: "Queues"
    workers: "Workers"
    keys: "ApiKeys"
    sessions: "BrowserSessions"
    holds: "KeyHolds"
    key_admin: "KeyAdmin"
    projects: "Projects"
    health: "Health"
    installation: "Installations"
    metrics: "Metrics"


def services(request: Request) -> Services:
    """Return the core services, which the front puts beside each request."""
    return cast("Services", request.scope["state"]["services"])


def principal(request: Request) -> Principal:
    """Return the caller that the route class has checked; only routes that declare a scope have one."""
    return cast("Principal", request.scope["state"]["principal"])


def client_address(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""


def actor(request: Request) -> Actor:
    """Return who asks for a change, and from where, for the record of changes."""
    return Actor(principal(request), client_address(request), request.scope["state"]["request_id"])


CoreServices = Annotated[Services, Depends(services)]
"""A route's parameter for the core services."""

Caller = Annotated[Principal, Depends(principal)]
"""A route's parameter for who is calling."""

Acting = Annotated[Actor, Depends(actor)]
"""A route's parameter for who makes a change, and from where."""
