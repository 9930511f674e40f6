"""Parts: whoever applies the changes has the whole, whatever the values are."""

from __future__ import annotations

import re
from html import escape

from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from markupsafe import Markup

from jobd.web.pages.parts import change, endpart, joined, part, split

PAGE = Environment(autoescape=True).from_string(
    "<h1>{{ title }}</h1>{% for id, text in rows %}"
    '{{ part(id) }}<p id="{{ id }}">{{ text }}</p>{{ endpart() }}{% endfor %}',
    globals={"part": part, "endpart": endpart},
)
MARKS = ["<!--part a-->", "<!--/part-->", "<!--part b--><!--/part-->", "</p>", "&lt;", "\n\n"]
TEXTS = st.one_of(st.text(), st.sampled_from(MARKS))
STATES = st.tuples(
    st.sampled_from(["one", "two", *MARKS]),
    st.lists(st.tuples(st.sampled_from("abcd"), TEXTS), max_size=4, unique_by=lambda row: row[0]),
)


class Viewer:
    """A browser: has the whole, and puts parts into their places by their ids."""

    def __init__(self) -> None:
        self.html: str | None = None
        self.before = None

    def take(self, html: str) -> int:
        """Take in what there is now; give how many parts were sent, -1 for all of it."""
        after = split(html)
        found = change(self.before, after, html)
        self.before = after
        if found is None:
            return 0
        if found.whole is not None:
            assert not found.parts
            self.html = found.whole
            return -1
        assert self.html is not None
        for name, text in found.parts.items():
            pattern = re.compile(f'<p id="{name}">.*?</p>', re.DOTALL)
            self.html = pattern.sub(lambda _, text=text: text, self.html)
        return len(found.parts)


def rendered(state: tuple[str, list[tuple[str, str]]]) -> str:
    return PAGE.render(title=state[0], rows=state[1])


def plain(state: tuple[str, list[tuple[str, str]]]) -> str:
    title = str(Markup.escape(state[0]))
    rows = [f'<p id="{name}">{Markup.escape(text)}</p>' for name, text in state[1]]
    return f"<h1>{title}</h1>{''.join(rows)}"


@settings(max_examples=100, deadline=None)
@given(st.lists(STATES, min_size=1, max_size=6))
def test_who_applies_all_changes_has_the_whole(
    states: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    viewer = Viewer()
    for state in states:
        html = rendered(state)
        assert joined(html) == plain(state)
        viewer.take(html)
        assert viewer.html == plain(state)


@given(STATES, TEXTS)
def test_one_part_that_changed_is_all_that_is_sent(
    state: tuple[str, list[tuple[str, str]]], text: str
) -> None:
    viewer = Viewer()
    viewer.take(rendered(state))
    assert viewer.take(rendered(state)) == 0
    if state[1]:
        (name, old), *rest = state[1]
        sent = viewer.take(rendered((state[0], [(name, text), *rest])))
        assert sent == (0 if escape(text) == escape(old) else 1)


@given(st.text())
def test_only_an_id_can_be_a_part(name: str) -> None:
    try:
        mark = part(name)
    except ValueError:
        assert not re.fullmatch(r"[A-Za-z0-9_.:-]+", name)
    else:
        assert split(f"{mark}x{endpart()}").parts == {name: "x"}
