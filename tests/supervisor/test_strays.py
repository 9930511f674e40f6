"""What becomes of a child that the supervisor has not started: every case there is."""

from __future__ import annotations

import itertools

import pytest

from jobd.supervisor.strays import Fate, Unknown, judge

EVERY = [
    (Unknown(zombie=zombie, on_a_page=page, marked=marked, cleaning=cleaning), marking, first)
    for zombie, page, marked, cleaning, marking, first in itertools.product((False, True), repeat=6)
]


@pytest.mark.parametrize(("child", "marking", "first"), EVERY)
def test_each_is_judged_by_law(child: Unknown, marking: bool, first: bool) -> None:
    """A worker is never touched, a zombie never stays, a stranger is never killed."""
    fate = judge(child, marking=marking, first_process=first)

    if child.on_a_page or (child.cleaning and not child.zombie):
        assert fate is Fate.LEAVE
    if child.zombie and not child.on_a_page:
        assert fate is Fate.COLLECT
    if fate is Fate.KILL:
        assert child.marked or (not marking and not first), "only what surely began below us"
    if child.marked and not child.zombie and not child.on_a_page and not child.cleaning:
        assert fate is Fate.KILL
