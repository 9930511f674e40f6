"""The code that the doctor ends with: of all errors it found, what is to be mended first decides.

Used by `jobd doctor`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobd.core.doctor.finding import Finding
from jobd.core.errors import EX_CONFIG, EX_NOPERM, EX_SOFTWARE, EX_UNAVAILABLE

# By how the names begin. What stands further down may come of what stands above. The unit, the machine's
# limits and the runtime directory are configured, too, and refused by `jobd run` with the same code.
_CODES = (
    (EX_CONFIG, ("config.", "stop.", "limits.", "place.", "daemon.reload", "daemon.state")),
    (EX_NOPERM, ("redis.permitted",)),
    (EX_UNAVAILABLE, ("redis.", "sentinel.", "clock.")),
    # The daemon is not well, or one has left something behind.
    (EX_SOFTWARE, ("",)),
)


def exit_code(findings: Iterable[Finding]) -> int:
    """Give a code of sysexits(3), or 0 where nothing is an error."""
    names = [each.name for each in findings if each.level == "error"]
    codes = (code for code, begin in _CODES if any(name.startswith(begin) for name in names))
    return next(codes, 0)
