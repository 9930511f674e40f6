"""How many random worlds a law is tried in, and which.

`make test` tries some, the same ones each time: who changes one thing is not told of another. `make
chaos` (JOBD_WORLDS=1) tries all, new ones each time: so what is rare is found by many runs.
"""

from __future__ import annotations

import os

from hypothesis import settings

_SHARE = float(os.environ.get("JOBD_WORLDS", "0.3"))

# No deadline: how long an example takes says how busy the machine is.
settings.register_profile("jobd", deadline=None, derandomize=_SHARE < 1)


def worlds(number: int) -> int:
    """Give the number for this run, of the number that is worth trying."""
    return max(10, round(number * _SHARE))
