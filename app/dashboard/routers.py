"""The routers of all pages, in the order in which their paths are tried."""

from typing import Final

from app.dashboard.job.routes import job_pages
from app.dashboard.jobs.changes import jobs_changes
from app.dashboard.jobs.routes import jobs_pages
from app.dashboard.sign_in import signing_in, signing_out

ROUTERS: Final = (signing_in, signing_out, jobs_pages, jobs_changes, job_pages)
