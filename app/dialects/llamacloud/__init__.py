"""LlamaCloud's beta batch processing: create, list, read, cancel batch jobs and read their items."""

from app.dialects import Dialect
from app.dialects.llamacloud.routes import PREFIXES, router
from app.web.detail_errors import render_detail

DIALECT = Dialect(
    name="llamacloud",
    title="LlamaCloud: Batch processing (beta)",
    version="1",
    description=(
        "LlamaCloud's `beta.batch` calls, as its client up to 2.13 makes them, on any job of the project. The key "
        "decides the project; `project_id` and `organization_id` are accepted and change nothing."
    ),
    router=router,
    render=render_detail,
    prefixes=PREFIXES,
)
