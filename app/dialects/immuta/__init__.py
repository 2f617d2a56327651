"""Immuta 2024.3's job statuses: many jobs in a request, with a long poll, and the log-in that precedes it."""

from app.dialects import Dialect
from app.dialects.immuta.routes import PREFIXES, render, router

DIALECT = Dialect(
    name="immuta",
    title="Immuta: jobs",
    version="2024.3",
    description=(
        "Immuta's documented job statuses, for every job of the project, and the exchange of an API key for a token, "
        "with which its clients begin."
    ),
    tags={
        "Authentication": "Exchange an API key for a token.",
        "Jobs": "Read many jobs, or wait for them.",
    },
    router=router,
    render=render,
    prefixes=PREFIXES,
    job_path="/jobs/statuses",
    job_body='{"jobIds":["{job_id}"]}',
)
