"""The routers of all pages, in the order in which their paths are tried."""

from typing import Final

from app.dashboard.job.actions import job_actions
from app.dashboard.job.parts import job_parts
from app.dashboard.job.routes import job_pages
from app.dashboard.jobs.changes import jobs_changes
from app.dashboard.jobs.routes import jobs_pages
from app.dashboard.keys.routes import key_pages
from app.dashboard.now.routes import now_pages
from app.dashboard.queues.changes import queue_changes
from app.dashboard.queues.routes import queue_pages
from app.dashboard.sign_in import signing_in, signing_out
from app.dashboard.system.routes import system_pages

ROUTERS: Final = (
    signing_in,
    signing_out,
    now_pages,
    jobs_pages,
    jobs_changes,
    job_pages,
    job_actions,
    job_parts,
    queue_pages,
    queue_changes,
    key_pages,
    system_pages,
)
