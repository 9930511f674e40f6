"""Several questions at one instant, also to a server that is full.

At maxmemory Redis refuses whatever is to be part of a transaction, reading too: just when people look.
Then the questions go one after another, and a job that moves between two of them may be seen twice or
not at all, as any picture of a busy store that is not of one instant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.exceptions import ExecAbortError, OutOfMemoryError

from jobd.broker.connection import Client


def read_together(client: Client, ask: Callable[[Any], None]) -> list[Any]:
    """Have `ask` put questions into a pipeline; give the answers, errors of single ones among them.

    Call within `translated`.
    """
    pipe = client.pipeline(transaction=True)
    ask(pipe)
    try:
        return list(pipe.execute(raise_on_error=False))
    except (OutOfMemoryError, ExecAbortError):
        pipe = client.pipeline(transaction=False)
        ask(pipe)
        return list(pipe.execute(raise_on_error=False))
