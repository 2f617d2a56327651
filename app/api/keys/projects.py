"""Routes of projects, for operators: create, list, read. Projects cannot be deleted in this version."""

from typing import Annotated

from fastapi import Body, Path, Response

from app.api.examples import PROJECT_ID
from app.api.keys.pages import DEFAULT_LIMIT, Cursor, Limit, cursor_of, moment_of, page_size
from app.api.keys.translate import project_document
from app.api.keys.wire import ProjectIn, ProjectList, ProjectOut
from app.api.responses import json_response
from app.api.routes import problems, router
from app.domain.errors import NotFoundError
from app.domain.ids import parse_id
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import Acting, CoreServices
from app.web.idempotency import IdempotencyKey, replayed_headers

projects = router("Projects")

Operator = Annotated[Principal, requires(Scope.OPERATOR)]


@projects.post(
    "/projects",
    operation_id="projects_create",
    summary="Create a project",
    status_code=201,
    response_model=ProjectOut,
    responses={
        201: {
            "headers": {"Location": {"description": "URL of the project.", "schema": {"type": "string"}}},
            "description": "The new project.",
        },
        **problems(body=True),
    },
    dependencies=[requires(Scope.OPERATOR)],
)
async def create(
    actor: Acting,
    services: CoreServices,
    key: IdempotencyKey,
    body: Annotated[ProjectIn, Body(examples=[{"name": "example"}])],
) -> Response:
    """Create a project. Create its first key with `POST /v1/keys` and its `project_id`. Names need not be
    unique. Projects cannot be deleted in this version.
    """
    project, replayed = await services.projects.create(actor, body.name, idempotency=key)
    headers = {"Location": f"/v1/projects/{project.id}", **replayed_headers(replayed)}
    return json_response(project_document(project), 201, headers)


@projects.get(
    "/projects",
    operation_id="projects_list",
    summary="List projects",
    response_model=ProjectList,
    responses={200: {"description": "A page."}, **problems()},
)
async def list_projects(
    caller: Operator, services: CoreServices, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """List all projects, newest first. Projects created at the same time share a page."""
    del caller
    page, next_before = await services.projects.page(before=moment_of(cursor, "projects"), limit=page_size(limit))
    documents = [project_document(project) for project in page]
    return json_response({"projects": documents, "next_cursor": cursor_of(next_before, "projects")})


@projects.get(
    "/projects/{project_id}",
    operation_id="projects_get",
    summary="Read a project",
    response_model=ProjectOut,
    responses={200: {"description": "The project."}, **problems(404)},
)
async def get_project(
    caller: Operator,
    services: CoreServices,
    project_id: Annotated[str, Path(description="The project's id, a UUID in lower case.", examples=[PROJECT_ID])],
) -> Response:
    """Return a project."""
    del caller
    parsed = parse_id(project_id)
    if parsed is None:
        raise NotFoundError("There is no such project.")
    return json_response(project_document(await services.projects.get(parsed)))
