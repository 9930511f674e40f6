"""The table of all pages."""

from __future__ import annotations

from jobd.web.pages import alerts, dead, job, jobs, operations, overview, queue, schedules, workers
from jobd.web.pages.page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    queue.PAGE,
    jobs.PAGE,
    job.PAGE,
    dead.PAGE,
    alerts.PAGE,
    *operations.PAGES,
    *workers.PAGES,
    *schedules.PAGES,
)
