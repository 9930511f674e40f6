"""A dear read, done only now and then: between two of them, what was read last is given again.

For streams, which look about once a second. Invariant: nothing is given that is older than `every` and one
read; what fails is not remembered. Used by pages that cost more than others.
"""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from jobd.broker.browse import Browser
from jobd.seams import clock
from jobd.web.api.house import House
from jobd.web.pages.page import Ask, Model, Read

_Question = tuple[tuple[str, str], ...]
_MOST = 50  # questions that are remembered for one house


def slowly(read: Read, *, every: float) -> Read:
    """Give the same read, done at most once in `every` seconds for each thing that is asked."""
    lock = threading.Lock()
    known: WeakKeyDictionary[Browser, dict[_Question, tuple[float, Model]]] = WeakKeyDictionary()

    def seldom(house: House, ask: Ask) -> Model:
        question = (*sorted(ask.path.items()), *sorted(ask.query.items()))
        now = clock.mono()
        with lock:
            had = known.setdefault(house.browser, {})
            if question in had and now - had[question][0] < every:
                return had[question][1]
        found = read(house, ask)
        with lock:
            had.pop(question, None)
            had[question] = clock.mono(), found
            while len(had) > _MOST:
                del had[next(iter(had))]
        return found

    return seldom
