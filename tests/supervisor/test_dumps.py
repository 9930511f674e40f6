"""Who wants the stacks themselves gets them when the last has come, and only so many bytes."""

from __future__ import annotations

from jobd.seams.requests import Stack
from jobd.supervisor.dumps import MOST_TOLD, Listener


def test_what_is_too_much_is_counted() -> None:
    names = {f"n.{n}" for n in range(40)}
    listener = Listener(7, set(names), 40)
    for name in sorted(names):
        listener.hear(name, Stack(name, 1, "x" * 16_384), unlogged=False)
        listener.hear("somebody", Stack("somebody", 1, "x"), unlogged=True)
    listener.names.add("late")
    listener.hear("late", Stack("late", 1, missing="it is in state T"), unlogged=True)

    answer = listener.answer()
    assert (answer.client, answer.error, listener.names) == (7, None, set())
    told = answer.told
    assert (told["processes"], len(told["stacks"]), told["left_out"]) == (
        40,
        MOST_TOLD // 16_384 + 1,
        24,
    )
    assert told["unlogged"] == 1
    assert told["stacks"][-1].missing  # why somebody has none is told of all
