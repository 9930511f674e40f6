"""The table of all pages."""

from __future__ import annotations

from jobd.web.pages import alerts, dead, operations, overview, workers
from jobd.web.pages.page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    dead.PAGE,
    alerts.PAGE,
    *operations.PAGES,
    *workers.PAGES,
)
