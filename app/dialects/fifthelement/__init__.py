"""Fifth Element's Jobs API: read a job, rerun a job. The documented client is a polling loop."""

from app.dialects import Dialect
from app.dialects.fifthelement.routes import PREFIXES, render, router

DIALECT = Dialect(
    name="fifthelement",
    title="Fifth Element: Jobs API",
    version="1",
    description=(
        "Fifth Element's documented job operations, with its `{data, error}` envelope, for every job of the project. "
        "They are served both at the root and under the vendor's base path `/v1/api`."
    ),
    tags={
        "Jobs": "Read a job until it has ended, and rerun it.",
    },
    router=router,
    render=render,
    prefixes=PREFIXES,
    job_path="/jobs/{job_id}",
)
