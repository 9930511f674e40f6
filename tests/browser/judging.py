"""What is wrong with how a page looks, as a list of findings: for axe, for a narrow screen, for overlaps."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_GRAVE = ("serious", "critical")
_TOO = ("landmark-unique", "heading-order", "landmark-one-main")
_AXE = Axe()

# Texts and controls whose boxes meet, though neither is within the other. What is out of sight, what
# floats above the page on purpose and what scrolls in a box of its own beyond its edge do not count.
_OVERLAPS = """
() => {
  const boxes = [];
  const floats = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.position === 'fixed' || style.position === 'sticky' || at.tagName === 'DIALOG') return true;
    }
    return false;
  };
  const clipped = (e, box) => {
    let { left, top, right, bottom } = box;
    if (!e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) return null;
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.clipPath !== 'none' || style.clip !== 'auto') return null;
      if (at !== document.body && at !== document.documentElement
          && (style.overflowX !== 'visible' || style.overflowY !== 'visible')) {
        const edge = at.getBoundingClientRect();
        left = Math.max(left, edge.left); right = Math.min(right, edge.right);
        top = Math.max(top, edge.top); bottom = Math.min(bottom, edge.bottom);
      }
    }
    return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : null;
  };
  const add = (e, box, text) => {
    const seen = clipped(e, box);
    if (seen && !floats(e)) boxes.push({ e, text, ...seen });
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || node.parentElement.closest('script, style, noscript, option, svg, template')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) add(node.parentElement, box, node.data.trim().slice(0, 40));
  }
  for (const e of document.querySelectorAll('button, input:not([type=hidden]), select, textarea, svg'))
    add(e, e.getBoundingClientRect(), e.outerHTML.slice(0, 60));
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const a = boxes[i], b = boxes[j];
    if (a.e === b.e || a.e.contains(b.e) || b.e.contains(a.e)) continue;
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 2 && high > 3) found.push(`${a.text} | ${b.text}`);
    if (found.length > 20) return found;
  }
  return found;
}
"""
# What sticks out on the right, whose box no scrolling one encloses.
_WIDE = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const out = [...document.body.querySelectorAll('*')].filter((e) => {
    if (e.getBoundingClientRect().right <= width + 1) return false;
    for (let at = e.parentElement; at && at !== document.body; at = at.parentElement)
      if (getComputedStyle(at).overflowX !== 'visible') return false;
    return true;
  });
  return [`${document.documentElement.scrollWidth} px in ${width}`, ...out.slice(0, 5).map((e) => e.outerHTML.slice(0, 150))];
}
"""


def barriers(page: Page) -> list[str]:
    """Ask axe-core; give its grave findings, and where they are."""
    found: list[dict[str, Any]] = _AXE.run(page).response["violations"]
    return [
        f"{each['impact']}: {each['id']}: {each['help']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in _GRAVE or each["id"] in _TOO
        for node in each["nodes"][:3]
    ]


def overlaps(page: Page) -> list[str]:
    """Find what lies over something else."""
    found: list[str] = page.evaluate(_OVERLAPS)
    return found


def too_wide(page: Page) -> list[str]:
    """Find what makes the page scroll sideways."""
    found: list[str] = page.evaluate(_WIDE)
    return found


def shifts(page: Page) -> tuple[float, list[str]]:
    """Give the layout shift so far that no input has caused, and what has moved."""
    found: list[str] = page.evaluate("window.__shifted")
    return float(page.evaluate("window.__shifts")), found
