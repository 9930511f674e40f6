"""How many random worlds a law is tried in.

`make test` tries some, new ones each time; `make chaos` (JOBD_WORLDS=1) tries all. So what is rare is
found by many runs, and no run takes long.
"""

from __future__ import annotations

import os

_SHARE = float(os.environ.get("JOBD_WORLDS", "0.3"))


def worlds(number: int) -> int:
    """Give the number for this run, of the number that is worth trying."""
    return max(10, round(number * _SHARE))
