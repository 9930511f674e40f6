"""Pausing a queue or one of its tasks: what a call may say, and what its answer means."""

from __future__ import annotations

from jobd.core.errors import OptionError
from jobd.core.names import check_name

MAX_WHY = 200


def read_hold(queue: str, task: str | None, why: str) -> tuple[str, str]:
    """Read what is to be paused and why, as the scripts want it. Raises OptionError."""
    if task is not None:
        check_name(task, what=f"queue {queue!r}: task")
    if not isinstance(why, str) or len(why) > MAX_WHY:
        raise OptionError(
            f"queue {queue!r}: why {why!r:.60}; expected a text of at most {MAX_WHY} characters"
        )
    return task or "", why


def was_paused(word: str, queue: str) -> bool:
    """Tell whether a pause changed something. Raises OptionError for one that was refused."""
    if word == "too_many":
        raise OptionError(
            f"queue {queue!r}: 100 of its tasks are paused; expected no more, since each claim looks "
            "at them; pause the whole queue, or resume one"
        )
    return word == "paused"
