"""An application: its Redis, its queues."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jobd.client.hooks import H, Hooks
from jobd.client.producer import Producer
from jobd.client.queue import Queue
from jobd.core.durations import Duration, seconds
from jobd.core.errors import DeclarationError, OptionError
from jobd.core.names import check_name

DEFAULT_URL = "redis://127.0.0.1:6379/0"
LONGEST_TIMEOUT = 3600.0


class Jobd:
    """An application. `url` defaults to JOBD_REDIS_URL, else redis://127.0.0.1:6379/0.

    `timeout` bounds every call to Redis. Making one opens no connection. Raises OptionError.
    """

    def __init__(
        self, url: str | None = None, *, namespace: str = "jobd", timeout: Duration = 2.0
    ) -> None:
        check_name(namespace, what="namespace")
        bound = seconds(timeout, what="Jobd: timeout")
        if not 0.001 <= bound <= LONGEST_TIMEOUT:
            raise OptionError(
                f"Jobd: timeout: {timeout!r}; expected from 1ms to 1h, for each call to Redis"
            )
        self.producer = Producer(
            url or os.environ.get("JOBD_REDIS_URL") or DEFAULT_URL, namespace, timeout=bound
        )
        self.queues: dict[str, Queue] = {}
        self.hooks = Hooks()

    def on(self, event: str) -> Callable[[H], H]:
        """Declare a hook: `@app.on("dead")`, a function, async or not, that takes a JobEvent.

        `started`, `completed`, `failed`: called beside the run, at most once. `dead` (for every cause)
        and `lost` (the run's process or host ended): delivered by a job, at least once. Raises
        DeclarationError for another event.
        """
        return self.hooks.on(event)

    def queue(self, name: str, **options: Any) -> Queue:
        """Declare a queue. The same name again, without options, gives the same queue.

        Raises OptionError, and DeclarationError for a second declaration with options.
        """
        if (known := self.queues.get(name)) is not None:
            if options:
                raise DeclarationError(
                    f"queue {name!r}: declared twice; expected options in one place; "
                    "give them at the first declaration"
                )
            return known
        queue = self.queues[name] = Queue(self.producer, name, options)
        return queue
