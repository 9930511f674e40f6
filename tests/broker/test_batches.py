"""A batch on the wire: a claim's reply as it is read, and what has ended as a settle says it."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobd.broker.claims import read_claim
from jobd.broker.commands import Claimed, Completed, QueueCommands

WIDTHS = {"plain": 1, "value": 2, "told": 3}
# Two that say the same are one object as a rule, and not always.
figures = st.sampled_from(["t|0|0|0", b"t|0|0|0".decode(), "t|1|0|1"])
completed = st.builds(
    Completed,
    id=st.integers(0, 10**6).map(lambda n: b"j%d" % n),
    claim=st.integers(1, 3).map(lambda n: n * 10**15),
    figures=figures,
    result=st.sampled_from([b"", b"1"]),
    ran=st.sampled_from([b"", b"{}"]),
)


def groups_of(command: list[Any]) -> dict[tuple[str, int, str], list[tuple[Any, ...]]]:
    """Read the groups of a settle, as its script does."""
    words = command[3 + int(command[2]) + 5 :]
    found = {}
    while words:
        verb, claim, spelled, count = words[:4]
        end, width = 4 + count * WIDTHS[verb], WIDTHS[verb]
        assert (verb, claim, spelled) not in found, "a group comes once"
        found[verb, claim, spelled] = [tuple(words[at : at + width]) for at in range(4, end, width)]
        words = words[end:]
    return found


@given(st.lists(completed, max_size=20))
def test_what_ended_well_is_settled_in_groups(done: list[Completed]) -> None:
    """Whatever follows what: each job is in the group of its claim and figures, in its order."""
    expected: dict[tuple[str, int, str], list[tuple[Any, ...]]] = defaultdict(list)
    for job in done:
        verb = "told" if job.ran else "value" if job.result else "plain"
        line = (job.id, job.result, job.ran)[: WIDTHS[verb]]
        expected[verb, job.claim, job.figures].append(line)
    command = QueueCommands("jobd", "q").settle("w.1", 1000, keep=1, completed=done)
    assert groups_of(command) == expected


@given(st.lists(st.sampled_from([None, [], [b"due", b"7"], [b"failed", b"1", b"due", b"7"]])))
def test_a_claim_is_read_as_it_was_replied(rests: list[Any]) -> None:
    """Plain jobs, others, and both in one batch."""
    head = [b"ok", b"9", b"1000", b"", b"", b"", b""]
    jobs = [[b"j%d" % n, b"t", b"{}", b"5", rest] for n, rest in enumerate(rests)]
    assert read_claim([*head, *chain.from_iterable(jobs)]).jobs == [
        Claimed(b"j%d" % n, b"t", b"{}", 5, dict(zip(rest[::2], rest[1::2], strict=True)) if rest else {}, 9)
        for n, rest in enumerate(rests)
    ]  # fmt: skip
