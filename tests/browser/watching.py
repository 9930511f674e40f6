"""What a browser complains of while a test looks elsewhere: nothing of it may happen.

Collected are errors of scripts and of the console, violations of the policy, answers that are errors,
requests that fail, and requests to anywhere but our server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

# In every page from its first moment on. Shifts that follow an input are no fault.
WATCH = """
(() => {
  if (window.__shifts !== undefined) return;
  window.__shifts = 0;
  window.__shifted = [];
  document.addEventListener('securitypolicyviolation', (e) =>
    window.__told(`policy: ${e.violatedDirective} refused ${e.blockedURI} (${e.sample})`));
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.__shifts += entry.value;
      for (const { node } of entry.sources)
        window.__shifted.push(node?.outerHTML?.slice(0, 120) ?? String(node?.textContent).slice(0, 60));
    }
  }).observe({ type: 'layout-shift', buffered: true });
})();
"""
# A page that is left drops what it has not got yet, its stream above all.
_LEFT = "net::ERR_ABORTED"


class Watch:
    """Keeps the complaints of one context."""

    def __init__(self, context: BrowserContext, at: str) -> None:
        self._at = at
        self._allowed: list[re.Pattern[str]] = []
        self.complaints: list[str] = []
        self.overlooked: list[str] = []
        context.expose_binding("__told", lambda _source, text: self.note(str(text)))
        context.add_init_script(WATCH)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def note(self, text: str) -> None:
        """Complain, unless it is to be overlooked."""
        is_allowed = any(allowed.search(text) for allowed in self._allowed)
        (self.overlooked if is_allowed else self.complaints).append(text)

    @contextmanager
    def allowing(self, *patterns: str) -> Iterator[None]:
        """Take no notice of what matches, from here on and until the block ends."""
        added = [re.compile(pattern) for pattern in patterns]
        self._allowed += added
        yield
        for one in added:
            self._allowed.remove(one)

    def _console(self, message: ConsoleMessage) -> None:
        # Of an address without a page of ours, browsers ask for an icon by themselves.
        is_icon = message.location.get("url", "").endswith("/favicon.ico")
        if message.type == "error" and not is_icon:
            self.note(f"console: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.note(f"script: {error.error}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._at}/", "data:")):
            self.note(f"elsewhere: {request.method} {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _LEFT:
            self.note(f"failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.note(f"answer: {response.status} {response.request.method} {response.url}")
