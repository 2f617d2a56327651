"""Captain's API v2: statuses with their files, cancelling, lists, and the calls that start a job for each source."""

from app.dialects import Dialect
from app.dialects.captain.routes import PREFIXES, router
from app.web.detail_errors import render_detail

DIALECT = Dialect(
    name="captain",
    title="Captain: Indexing jobs, API v2",
    version="2",
    description=(
        "Captain's calls for indexing jobs, as its clients make them, on any job of the project. The key decides the "
        "project; `X-Organization-ID` is accepted and changes nothing."
    ),
    router=router,
    render=render_detail,
    prefixes=PREFIXES,
)
