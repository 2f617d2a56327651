"""Captain's API v2: job status with files, cancel, lists, and the operations that index each kind of source."""

from app.dialects import Dialect
from app.dialects.captain.routes import PREFIXES, router
from app.web.detail_errors import render_detail

DIALECT = Dialect(
    name="captain",
    title="Captain: Indexing jobs, API v2",
    version="2",
    description=(
        "Captain's operations on indexing jobs, as its clients call them, for every job of the project. The API key "
        "determines the project; `X-Organization-ID` is accepted and ignored."
    ),
    tags={
        "Indexing": "Start a job that indexes files of a source into a collection.",
        "Jobs": "Read, list and cancel jobs.",
    },
    router=router,
    render=render_detail,
    prefixes=PREFIXES,
    job_path="/v2/jobs/{job_id}",
)
