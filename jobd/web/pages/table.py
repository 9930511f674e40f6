"""The table of all pages."""

from __future__ import annotations

from jobd.web.pages import job, jobs, overview
from jobd.web.pages.page import Page

PAGES: tuple[Page, ...] = (overview.PAGE, jobs.PAGE, job.PAGE)
