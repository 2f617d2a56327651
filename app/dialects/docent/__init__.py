"""Docent's ingestion jobs: the API key test, uploads that create jobs, and job status, singly or in batches of 100."""

from app.dialects import Dialect
from app.dialects.docent.routes import PREFIXES, render, router

DIALECT = Dialect(
    name="docent",
    title="Docent: Ingestion jobs",
    version="0.1.88",
    description=(
        "The operations that Docent's client uses to upload agent runs and to follow their ingestion, for every job of "
        "the project. Any collection id is accepted; a job without a collection is visible in all collections."
    ),
    tags={
        "Ingestion": "Upload agent runs, and follow the jobs that ingest them.",
    },
    router=router,
    render=render,
    prefixes=PREFIXES,
    job_path="/rest/{collection}/agent_runs/jobs/{job_id}",
)
