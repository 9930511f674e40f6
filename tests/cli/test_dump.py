"""What `jobd dump` says of where the stacks are."""

from __future__ import annotations

import pytest

from jobd.cli.dump import said


@pytest.mark.parametrize("slot", [None, "q.1"])
def test_of_a_log_that_nobody_takes_it_is_not_said_that_the_stacks_are_there(
    slot: str | None,
) -> None:
    done = {
        "processes": 3,
        "stacks": [{"who": "q.1", "pid": 7, "text": "x"}],
        "left_out": 0,
        "unlogged": 2,
    }
    assert "did not all get into the log" in said(slot, done)
    assert "are in the log" in said(slot, done | {"unlogged": 0})
