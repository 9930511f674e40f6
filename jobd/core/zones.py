"""Time zones by name, from the machine's database or from the `tzdata` package.

zoneinfo is imported with the first schedule: who only adds jobs does not pay for it.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache

from jobd.core.errors import ConfigError, OptionError
from jobd.core.suggest import nearest

# Names that each machine understands in its own way.
_LOCAL = ("localtime", "posixrules", "Factory")


@cache
def zone(name: str) -> tzinfo:
    """Give a zone by its name, as in 'Europe/Berlin'.

    Raises OptionError for a name that is none, ConfigError where there are no zones at all.
    """
    if name == "UTC":
        return UTC  # known everywhere
    from zoneinfo import ZoneInfo  # noqa: PLC0415  see above

    if isinstance(name, str) and name not in _LOCAL:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not there; no name; a directory
            pass
    raise _unknown(name)


def _unknown(name: object) -> OptionError | ConfigError:
    from zoneinfo import available_timezones  # noqa: PLC0415

    known = available_timezones()
    if not known:
        return ConfigError(
            f"tz: {name!r}; expected a database of time zones on this machine, and there is none; "
            "install the package tzdata"
        )
    said = str(name)
    by_folded = {each.casefold(): each for each in known}
    places = {each.rpartition("/")[2].casefold(): each for each in sorted(known, reverse=True)}
    folded = said.strip().replace(" ", "_").casefold()
    right = by_folded.get(folded) or places.get(folded.rpartition("/")[2])
    hint = f"; did you mean {right!r}?" if right else nearest(said, known)
    return OptionError(
        f"tz: {name!r:.62}; expected a zone of the tz database, as in 'Europe/Berlin' or 'UTC'{hint}"
    )
