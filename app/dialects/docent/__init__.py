"""Docent's ingestion jobs: the hand-shake, uploads that become jobs, their statuses by one or by the hundred."""

from app.dialects import Dialect
from app.dialects.docent.routes import PREFIXES, render, router

DIALECT = Dialect(
    name="docent",
    title="Docent: Ingestion jobs",
    version="0.1.88",
    description=(
        "The calls that Docent's client makes to upload agent runs and to follow their ingestion, on any job of the "
        "project. Any collection id is good; a job of no collection is seen in all."
    ),
    router=router,
    render=render,
    prefixes=PREFIXES,
)
