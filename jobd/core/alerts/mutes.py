"""For how long a rule may be muted. Used by `jobd alerts mute` and the dashboard's API.

Less would be over before anybody noticed that it was there; more is a rule that nobody wants, and is
forgotten as a mute.
"""

from __future__ import annotations

from jobd.core.durations import milliseconds, words
from jobd.core.errors import OptionError

_MINUTE = 60_000
LEAST_MS, MOST_MS = _MINUTE, 90 * 24 * 60 * _MINUTE


def mute_ms(value: object, *, what: str) -> int:
    """Read for how long, as ms: a minute to 90 days. Raises OptionError naming `what`."""
    span = milliseconds(value, what=what)
    if LEAST_MS <= span <= MOST_MS:
        return span
    raise OptionError(
        f"{what}: {value!r:.40}; expected {words(LEAST_MS / 1000)} to {words(MOST_MS / 1000)}, as in 2h; "
        "`jobd alerts unmute` ends a mute, and a rule that nobody wants is to be dropped from the configuration"
    )
