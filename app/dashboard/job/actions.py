"""What can be done with a job from its page. Each asks the core as the API's operation does."""

from typing import Final

from fastapi import Request, Response

from app.dashboard.forms import read_form, text_of
from app.dashboard.job.changes import changed_job
from app.dashboard.job.copies import copies_of, payload_of, pretty
from app.dashboard.job.live import changed_parts
from app.dashboard.job.views import PARTS, head_of
from app.dashboard.site import address_of, is_partial, page, pages_router
from app.domain.errors import InvalidError
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices
from app.web.params import check_queue, job_id_of

job_actions = pages_router()

MOST_EDITED: Final = 256 * 1024
"""Bytes of a payload that the form shows: no one edits more by hand, and browsers are slow with it."""


@job_actions.post("/ui/jobs/{job_id}/cancel", dependencies=[requires(Scope.SUBMIT)])
async def cancel(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Cancel the job, and show it as it is then."""
    parsed = job_id_of(job_id)
    job, _ = await services.jobs.cancel(caller.project_id, parsed, by=caller.name, queues=caller.queues)
    told = "The job is cancelled." if job.terminal else "The worker is told to stop. The job is cancelled when it has."
    # Not its stages, which are counted from its events: the stream has them.
    parts = changed_parts(request, head_of(job, caller), {}, [name for name in PARTS if name != "stages"])
    return page(request, "job/changed.html", parts=parts, told=told)


@job_actions.post("/ui/jobs/{job_id}/rerun", dependencies=[requires(Scope.SUBMIT)])
async def rerun(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Rerun the job, or its failed files alone, and go to the new job."""
    only_failed = bool(text_of(await read_form(request), "only_failed"))
    created = await services.jobs.rerun(
        caller.project_id, job_id_of(job_id), only_failed_items=only_failed, queues=caller.queues
    )
    return _to(f"/ui/jobs/{created.job.id}")


@job_actions.post("/ui/jobs/{job_id}/delete", dependencies=[requires(Scope.SUBMIT)])
async def delete(caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Delete the job, and go to the list."""
    await services.jobs.delete(caller.project_id, job_id_of(job_id), queues=caller.queues)
    return _to("/ui/jobs")


@job_actions.get("/ui/jobs/{job_id}/copy", dependencies=[requires(Scope.READ)])
async def copy(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show the job as calls to copy: in the dialog, or as a page of its own without script."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id), documents=True)
    template = "job/copies.html" if is_partial(request) else "job/copies_page.html"
    return page(request, template, job=job, copies=copies_of(job, address_of(request)))


@job_actions.get("/ui/jobs/{job_id}/again", dependencies=[requires(Scope.READ)])
async def again_form(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show the form that runs the job again with changes."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id), documents=True)
    payload = payload_of(job)
    text = "" if payload is None else pretty(payload)
    is_long = len(text.encode()) > MOST_EDITED
    fields = {"type": job.type, "queue": job.queue, "payload": "" if is_long else text}
    return page(request, "job/again.html", job=job, fields=fields, is_long=is_long, faults={})


@job_actions.post("/ui/jobs/{job_id}/again", dependencies=[requires(Scope.SUBMIT)])
async def again(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Create a job like this one with what was changed, and go to it; faults of the form are shown in it."""
    form = await read_form(request)
    job = await services.jobs.get(caller.project_id, job_id_of(job_id), documents=True)
    fields = {"type": text_of(form, "type"), "queue": text_of(form, "queue"), "payload": text_of(form, "payload")}
    is_long = bool(text_of(form, "same_payload"))
    try:
        new = changed_job(job, fields, same_payload=is_long)
    except InvalidError as error:
        faults = {fault.pointer.strip("/"): fault.message for fault in error.errors}
        return page(request, "job/again.html", 422, job=job, fields=fields, is_long=is_long, faults=faults)
    check_queue(caller, new.queue)
    created = await services.jobs.create(caller.project_id, new)
    return _to(f"/ui/jobs/{created.job.id}")


def _to(path: str) -> Response:
    return Response(None, 204, {"HX-Redirect": path})
