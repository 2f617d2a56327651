"""Why a job waits."""

from typing import Annotated

from fastapi import Response

from app.api.jobs.list_wire import WaitingOut
from app.api.jobs.translate import waiting_document
from app.api.responses import json_response
from app.api.routes import JobIdText, problems, router
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import CoreServices
from app.web.params import job_id_of

waiting = router("Jobs")


@waiting.get(
    "/jobs/{job_id}/waiting",
    operation_id="jobs_waiting",
    summary="Read why a job waits",
    response_model=WaitingOut,
    responses={200: {"description": "Why the job does not go on."}, **problems(404)},
)
async def get_waiting(
    caller: Annotated[Principal, requires(Scope.READ)], services: CoreServices, job_id: JobIdText
) -> Response:
    """Return why a live job does not go on: calculated when it is read, never stored, and no part of the job, whose
    version does not change with it. `no_worker` is said only while no worker that has asked for the job's queue and
    type within 60 seconds, or that holds a job, would take it.
    """
    found = await services.waiting.get(caller.project_id, job_id_of(job_id))
    return json_response(waiting_document(found), 200, {"Cache-Control": "no-store"})
