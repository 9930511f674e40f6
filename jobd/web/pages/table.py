"""The table of all pages."""

from __future__ import annotations

from jobd.web.pages import overview
from jobd.web.pages.page import Page

PAGES: tuple[Page, ...] = (overview.PAGE,)
