"""What a route may ask for: the core services, and who is calling."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from app.domain.principal import Principal

if TYPE_CHECKING:
    # For annotations alone: FastAPI never looks inside `Services`, and a dialect's pure tests need no core.
    from app.core.bodies import Bodies
    from app.core.bulk import Bulk
    from app.core.health import Health
    from app.core.history import History
    from app.core.inputs import Inputs
    from app.core.items import Items
    from app.core.job_lists import JobLists
    from app.core.jobs import Jobs
    from app.core.key_admin import KeyAdmin, Projects
    from app.core.keys import Keys
    from app.core.leases import Leases
    from app.core.metrics import Metrics
    from app.core.queues import Queues
    from app.core.statuses import Statuses


@dataclass(frozen=True, slots=True)
class Services:
    """The core as the edges see it; the runtime builds one for `create_app`."""

    jobs: "Jobs"
    bodies: "Bodies"
    lists: "JobLists"
    bulk: "Bulk"
    leases: "Leases"
    statuses: "Statuses"
    items: "Items"
    history: "History"
    inputs: "Inputs"
    queues: "Queues"
    keys: "Keys"
    key_admin: "KeyAdmin"
    projects: "Projects"
    health: "Health"
    metrics: "Metrics"


def services(request: Request) -> Services:
    """Return the core services, which the front puts beside each request."""
    return cast("Services", request.scope["state"]["services"])


def principal(request: Request) -> Principal:
    """Return the caller that the route class has checked; only routes that declare a scope have one."""
    return cast("Principal", request.scope["state"]["principal"])


CoreServices = Annotated[Services, Depends(services)]
"""A route's parameter for the core services."""

Caller = Annotated[Principal, Depends(principal)]
"""A route's parameter for who is calling."""
