"""Hooks: what an application wants to hear of its jobs, with `@app.on("dead")` and the like.

`started`, `completed` and `failed` are called by the worker, beside the run that they are about: at
most once, and not at all where its process ends first. `dead` and `lost` are often true just because a
process is no more, so they must not need it: the script that makes it so adds a job to the same
queue, which calls the hooks: at least once, and like any job it is tried again, timed out and seen.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from jobd.core.errors import DeclarationError
from jobd.core.names import RESERVED
from jobd.core.suggest import nearest, one_of

STARTED, COMPLETED, FAILED, DEAD, LOST = EVENTS = ("started", "completed", "failed", "dead", "lost")
IN_THE_WORKER = (STARTED, COMPLETED, FAILED)
BY_JOBS = (DEAD, LOST)
# The tasks that call the latter; the scripts spell it too (_prelude.lua).
TASK_PREFIX = f"{RESERVED}on."

Hook = Callable[["JobEvent"], object]
H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """What a hook is told. What does not apply to an event is None."""

    event: str
    """started, completed, failed, dead or lost."""
    id: str
    queue: str
    task: str
    at: datetime
    """When it happened, by Redis' clock; UTC."""
    token: int | None = None
    """The claim of the run: the fencing number that the task has as `job.token`."""
    attempt: int | None = None
    """1 for the first run."""
    duration: float | None = None
    """How long the run took, in seconds."""
    cause: str | None = None
    """Why: of failed `failed`, `timeout` or `unencodable`; of lost `crash` or `lost`; of dead, one of
    the causes that `jobd jobs show` gives."""
    error: str | None = None
    """The exception's own line, or how the run ended."""
    retry_in: float | None = None
    """Of failed: in how many seconds it runs again; None when it does not."""


class Hooks:
    """The hooks of one application, in the order of their declaration."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Hook]] = {event: [] for event in EVENTS}

    def on(self, event: str) -> Callable[[H], H]:
        """Declare a hook. Raises DeclarationError for an unknown event."""
        if event not in EVENTS:
            raise DeclarationError(
                f"hook: event {event!r}; expected {one_of(EVENTS)}{nearest(str(event), EVENTS)}; "
                'write it as in @app.on("dead")'
            )

        def declare(hook: H) -> H:
            if not callable(hook) or not _takes_an_event(hook):
                raise DeclarationError(
                    f"hook of {event!r}: {hook!r}; expected a function that takes a JobEvent"
                )
            self._hooks[event].append(hook)
            return hook

        return declare

    def of(self, event: str) -> tuple[Hook, ...]:
        """Give the hooks of one event."""
        return tuple(self._hooks[event])

    def asked(self, events: tuple[str, ...]) -> tuple[str, ...]:
        """Name those of some events that somebody wants to hear of."""
        return tuple(event for event in events if self._hooks[event])


def _takes_an_event(hook: Callable[..., Any]) -> bool:
    """Whether it can be called with one argument; what does not say so is believed."""
    try:
        inspect.signature(hook).bind(None)
    except TypeError:
        return False
    except ValueError:  # a callable without a signature
        return True
    return True


def name_of(hook: Hook) -> str:
    """Name a hook, in the letters of a step's name."""
    full = (
        f"{getattr(hook, '__module__', '?')}.{getattr(hook, '__qualname__', type(hook).__name__)}"
    )
    return re.sub(r"[^A-Za-z0-9_.:-]", "_", full)[:100]
