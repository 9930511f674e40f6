"""The table of all pages."""

from __future__ import annotations

from jobd.web.pages import overview, queue
from jobd.web.pages.page import Page

PAGES: tuple[Page, ...] = (overview.PAGE, queue.PAGE)
