"""Immuta 2024.3's job statuses: many jobs at once, with a wait on the server, and the log-in before it."""

from app.dialects import Dialect
from app.dialects.immuta.routes import PREFIXES, render, router

DIALECT = Dialect(
    name="immuta",
    title="Immuta: jobs",
    version="2024.3",
    description=(
        "Immuta's documented job statuses on any job of the project, and the exchange of an API key for a token that "
        "its clients begin with."
    ),
    router=router,
    render=render,
    prefixes=PREFIXES,
)
