"""What a rule went through: an entry a change, bounded, and nothing where nothing changed."""

from __future__ import annotations

from jobd.core.alerts.history import MOST_NAMED, Change, changes, newest, shown
from jobd.core.alerts.machine import InstanceState, Phase, RuleState


def state(**phases: Phase) -> RuleState:
    return RuleState(
        kind="backlog",
        instances={
            name: InstanceState(phase=phase, since_ms=1, seen_ms=1, value=2.0, shown="s" * 1000)
            for name, phase in phases.items()
        },
    )


def test_what_begins_to_fire_and_what_does_no_longer_are_entries() -> None:
    """Pending is none: it may come to nothing."""
    before = state(a="pending", b="firing", c="firing", d="resolved")
    after = state(a="firing", b="resolved", c="firing", d="pending", e="pending")

    began, over = changes("r", before, after, at_ms=7)

    assert (began.what, [each.of for each in began.instances]) == ("firing", ["a"])
    assert (over.what, [each.of for each in over.instances]) == ("resolved", ["b"])
    assert (began.at_ms, began.kind, len(began.instances[0].shown)) == (7, "backlog", 160)
    assert changes("r", after, after) == []


def test_a_rule_that_goes_ends_what_fired() -> None:
    """Its last state says of what kind it was."""
    [over] = changes("r", state(a="firing", b="pending"), RuleState())

    assert (over.what, over.kind, [each.of for each in over.instances]) == (
        "resolved", "backlog", ["a"],
    )  # fmt: skip


def test_of_many_a_few_are_named() -> None:
    """And all are counted."""
    [began] = changes("r", RuleState(), state(**{f"q{n:03}": "firing" for n in range(500)}))

    assert (len(began.instances), began.more) == (MOST_NAMED, 500 - MOST_NAMED)


def test_histories_become_one() -> None:
    """By time, of one rule or of all."""
    ours = [Change(rule="a", what="firing", at_ms=3), Change(rule="b", what="firing", at_ms=1)]
    theirs = [Change(rule="a", what="muted", at_ms=2, for_ms=5)]

    assert [each.at_ms for each in newest(ours, theirs)] == [3, 2, 1]
    assert [each.at_ms for each in newest(ours, theirs, rule="a", limit=1)] == [3]
    assert shown(theirs[0]).muted_until == 7
