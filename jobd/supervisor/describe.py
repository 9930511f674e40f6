"""A decision in words: what the actions of one step would do. Printed by tests and when debugging."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from jobd.supervisor.orders import (
    Action,
    Adopt,
    Answer,
    Discard,
    Drain,
    Dump,
    EndHelper,
    Forget,
    Fork,
    Kill,
    KillStray,
    Quit,
    Ready,
    Remind,
    Say,
    StartHelper,
    TakeBack,
    Tell,
    Watch,
    Withdraw,
)


def describe(actions: Iterable[Action]) -> list[str]:
    """Give one line for each action."""
    return [_line(action) for action in actions]


def _line(action: Action) -> str:  # noqa: C901, PLR0912 - one line a kind
    match action:
        case StartHelper():
            return f"start {action.helper}"
        case EndHelper():
            return f"{'kill' if action.hard else 'end'} {action.helper}"
        case Fork():
            return f"fork {action.slot} as {action.incarnation} on page {action.page}"
        case Watch():
            return f"watch {action.incarnation} (pid {action.pid})"
        case Drain():
            return f"drain {action.incarnation}"
        case Remind():
            return f"remind {action.incarnation}"
        case Kill():
            return f"kill {action.incarnation}: {action.cause}"
        case Dump():
            return f"ask {action.who} for its stacks: {action.why}"
        case Tell():
            return f"tell client {action.client} the stacks of {', '.join(action.who)}"
        case KillStray():
            return f"kill stray {action.incarnation} (pid {action.pid})"
        case TakeBack():
            return f"take back page {action.page}"
        case Withdraw():
            return f"withdraw the order of page {action.page}"
        case Forget():
            return f"forget {action.board}"
        case Adopt():
            return "adopt the configuration of the reload"
        case Discard():
            return "discard the configuration of the reload"
        case Answer():
            return f"answer client {action.client}: {action.error or 'done'}"
        case Say():
            return f"say {action.event.event}"
        case Ready():
            return "tell the service manager: ready"
        case Quit():
            return f"quit with {action.code}"
        case _:
            assert_never(action)
