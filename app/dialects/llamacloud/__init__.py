"""LlamaCloud's beta batch processing: create, list, read and cancel batch jobs, and read their items."""

from app.dialects import Dialect
from app.dialects.llamacloud.routes import PREFIXES, router
from app.web.detail_errors import render_detail

DIALECT = Dialect(
    name="llamacloud",
    title="LlamaCloud: Batch processing (beta)",
    version="1",
    description=(
        "LlamaCloud's `beta.batch` operations, as its client up to 2.13 calls them, for every job of the project. The "
        "API key determines the project; `project_id` and `organization_id` are accepted and ignored."
    ),
    tags={
        "Batch processing": "Create, read, list and cancel batch jobs, and read their items.",
    },
    router=router,
    render=render_detail,
    prefixes=PREFIXES,
    job_path="/api/v1/beta/batch-processing/{job_id}",
)
