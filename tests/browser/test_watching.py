"""The watch itself: what it must not miss. Without this, an empty list of complaints would prove nothing."""

from __future__ import annotations

import pytest

from browser.conftest import Visit
from browser.judging import barriers, overlaps, shifts, too_wide
from browser.visitor import Visitor
from browser.watching import Watch

WRONGS = {
    "console: of a script": "console.error('of a script')",
    "script: ": "setTimeout(() => { throw new Error('in a script'); })",
    "policy: img-src": "document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))",
    "policy: require-trusted-types-for": "try { document.body.innerHTML = '<p>x</p>'; } catch { }",
    "answer: 404": "fetch('/nothing/of/the/kind')",
    "elsewhere: GET http://localhost": "open(`http://localhost:${location.port}/livez`)",
}


@pytest.mark.parametrize("told", WRONGS)
def test_a_wrong_is_noted(visit: Visit, told: str) -> None:
    one = visit("ops")
    page = one.go("/")
    with one.watch.allowing(""):
        page.evaluate(f"() => {{ {WRONGS[told]}; }}")
        noted = _until_noted(one, told)
    assert noted


def _until_noted(one: Visitor, told: str) -> bool:
    for _ in range(100):
        if any(text.startswith(told) for text in one.watch.overlooked):
            return True
        one.page.wait_for_timeout(50)
    raise AssertionError(one.watch.overlooked)


def test_what_was_overlooked_on_purpose_is_noted_again_afterwards(ops: Visitor) -> None:
    watch: Watch = ops.watch
    with watch.allowing("^console"):
        watch.note("console: x")
    watch.note("console: y")
    assert watch.complaints == ["console: y"]
    watch.complaints.clear()


def test_a_jump_an_overlap_and_a_wide_page_are_seen(ops: Visitor) -> None:
    page = ops.go("/")
    assert (overlaps(page), too_wide(page), barriers(page)) == ([], [], [])
    page.evaluate(
        """() => { const p = document.createElement('p'); p.textContent = 'in between'; p.style.height = '200px';
        document.getElementById('main').prepend(p); }"""
    )
    page.wait_for_function("window.__shifts > 0.01")
    assert shifts(page)[1]
    page.evaluate(
        """() => { const p = document.createElement('button'); p.style.cssText =
        'position: absolute; top: 0; left: 0; width: 3000px; height: 100px'; document.body.append(p); }"""
    )
    assert overlaps(page)
    assert too_wide(page)
    assert any("button-name" in text for text in barriers(page))
