"""A sixth dialect costs one folder: this one is written into a temporary package, and a job is read through it."""

import os
import textwrap
from pathlib import Path

import httpx

from tests.conftest import StartService

SIXTH = {
    "__init__.py": '''
        """A vendor that says only whether a job is over."""
        from app.dialects import Dialect
        from app.dialects.sixth.routes import render, router

        DIALECT = Dialect(
            name="sixth", title="Sixth", version="1", description="Over or not.",
            router=router, render=render, prefixes=("/sixth",), job_path="/sixth/{job_id}",
        )
    ''',
    "routes.py": '''
        """The vendor's one call."""
        from fastapi import APIRouter
        from fastapi.responses import JSONResponse
        from starlette.requests import Request

        from app.domain.errors import JobtrackError
        from app.domain.principal import Scope
        from app.web.auth import requires
        from app.web.deps import Caller, CoreServices
        from app.web.errors import status_of
        from app.web.params import job_id_of
        from app.web.routing import guarded_route


        def render(request: Request, error: JobtrackError) -> JSONResponse:
            return JSONResponse({"oh": error.message}, status_of(error))


        router = APIRouter(route_class=guarded_route(render=render))


        @router.get("/sixth/{job_id}", operation_id="sixth_get", dependencies=[requires(Scope.READ)])
        async def get(job_id: str, services: CoreServices, caller: Caller) -> JSONResponse:
            job = await services.jobs.get(caller.project_id, job_id_of(job_id))
            return JSONResponse({"over": job.terminal})
    ''',
}
# What an installation would do by putting the folder into the package.
ON_THE_PATH = "import app.dialects; app.dialects.__path__.append({folder!r})"


async def test_folder_is_all_that_it_takes(start_service: StartService, tmp_path: Path) -> None:
    folder = tmp_path / "more" / "sixth"
    folder.mkdir(parents=True)
    for name, text in SIXTH.items():
        (folder / name).write_text(textwrap.dedent(text))
    (tmp_path / "sitecustomize.py").write_text(ON_THE_PATH.format(folder=str(folder.parent)))
    root = Path(__file__).parents[2]
    service = await start_service(PYTHONPATH=os.pathsep.join([str(tmp_path), str(root)]))
    async with service.client() as api:
        job_id = (await api.post("/v1/jobs", json={"type": "t"})).json()["id"]
        assert (await api.get(f"/sixth/{job_id}")).json() == {"over": False}
        await api.post(f"/v1/jobs/{job_id}/cancel")
        assert (await api.get(f"/sixth/{job_id}")).json() == {"over": True}
        assert (await api.get("/sixth/x")).json() == {"oh": "There is no such job."}
        assert (await api.get("/sixth")).json() == {"oh": "There is nothing at this path."}
        document = (await api.get("/dialects/sixth/openapi.json")).json()
        assert set(document["paths"]) == {"/sixth/{job_id}"}
        assert "Sixth" in (await api.get("/")).text
    async with httpx.AsyncClient(base_url=service.url) as stranger:
        assert (await stranger.get(f"/sixth/{job_id}")).status_code == 401
