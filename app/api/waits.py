"""Waiting for many jobs at once; with `wait: 0` the batch read."""

from typing import Annotated
from uuid import UUID

from fastapi import Body, Request, Response
from pydantic_core import to_json

from app.api.render import job_document
from app.api.requests import WaitIn
from app.api.routes import problems, router
from app.api.schemas import Waited
from app.core.statuses import Until
from app.domain.ids import parse_id
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import CoreServices
from app.web.streaming import held_json_response

waits = router("Jobs")

_EXAMPLE = {"ids": ["0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10"], "until": "all", "wait": 30, "include": ["result"]}


@waits.post(
    "/jobs/wait",
    operation_id="jobs_wait",
    summary="Wait for jobs, or read many at once",
    response_model=Waited,
    responses={200: {"description": "Their states. White space may come before the JSON."}, **problems(body=True)},
)
async def wait_for_jobs(
    request: Request,
    caller: Annotated[Principal, requires(Scope.READ)],
    services: CoreServices,
    asked: Annotated[WaitIn, Body(examples=[_EXAMPLE])],
) -> Response:
    """Wait as long as asked; at the end of the time the answer is the states as they are.

    A wait longer than 15 seconds is kept alive by spaces before the JSON. Unknown ids are listed and not waited for.
    """
    texts = list(dict.fromkeys(asked.ids))
    ids = {text: job_id for text in texts if (job_id := parse_id(text)) is not None}
    versions = {job_id: v for text, v in asked.versions.items() if (job_id := parse_id(text)) is not None}
    include = {name.value for name in asked.include}

    def render(found: dict[UUID, Job]) -> bytes:
        known = [text for text in texts if ids.get(text) in found]
        return to_json(
            {
                "jobs": [job_document(found[ids[text]], include) for text in known],
                "not_found": [text for text in texts if ids.get(text) not in found],
            }
        )

    wait = services.statuses.wait(
        caller.project_id,
        list(ids.values()),
        seconds=asked.wait,
        until=Until(asked.until),
        versions=versions,
        documents=bool(include),
    )
    return await held_json_response(request, wait, render)
