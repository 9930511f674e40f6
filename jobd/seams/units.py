"""What systemd would do with the service that runs a daemon: `systemctl show`, or the unit file.

Read by `jobd doctor`. Nothing is assumed: without systemd, or with a unit that cannot be found, None.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

from jobd.core.doctor.limits import UnitFacts
from jobd.core.durations import seconds
from jobd.core.errors import OptionError

USUAL = "jobd.service"
_PLACES = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
           "/usr/lib/systemd/system", "/lib/systemd/system")  # fmt: skip
_ASKED = (
    "Type",
    "NotifyAccess",
    "TimeoutStopUSec",
    "WatchdogUSec",
    "KillMode",
    "OOMPolicy",
    "LoadState",
)
_DEFAULT_STOP = 90.0


def unit_facts(name: str) -> UnitFacts | None:
    """Read a unit's settings; None when there is no such unit here."""
    return _asked(name) or _from_file(name)


def _asked(name: str) -> UnitFacts | None:
    program = shutil.which("systemctl")
    if program is None:
        return None
    try:
        said = subprocess.run(
            [program, "show", name, "--property", ",".join(_ASKED)],
            capture_output=True, text=True, check=False, timeout=5, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    values = dict(line.split("=", 1) for line in said.stdout.splitlines() if "=" in line)
    if said.returncode != 0 or values.get("LoadState") != "loaded":
        return None
    values["TimeoutStopSec"] = values.get("TimeoutStopUSec", "infinity")
    values["WatchdogSec"] = values.get("WatchdogUSec", "0")
    return _facts(name, "systemctl show", values)


def _from_file(name: str) -> UnitFacts | None:
    for place in _PLACES:
        path = Path(place) / name
        try:
            text = path.read_text()
        except OSError:
            continue
        for extra in sorted(Path(f"{path}.d").glob("*.conf")):
            try:
                text += "\n" + extra.read_text()
            except OSError:
                continue  # a drop-in of root's eyes only: what is readable is better than nothing
        return _facts(name, str(path), settings_in(text))
    return None


def settings_in(text: str) -> dict[str, str]:
    """Read the settings of the [Service] sections of a unit file, the last word of each counting."""
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        line = line.strip()  # noqa: PLW2901
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found[key.strip()] = value.strip()
    if "TimeoutSec" in found:
        found.setdefault("TimeoutStopSec", found["TimeoutSec"])
    return found


def _facts(name: str, where: str, values: dict[str, str]) -> UnitFacts:
    kind = values.get("Type", "simple")
    return UnitFacts(
        name=name,
        where=where,
        notifies=kind.startswith("notify") and values.get("NotifyAccess", "main") != "none",
        stop_timeout=span(values.get("TimeoutStopSec", ""), _DEFAULT_STOP) or math.inf,
        watchdog=span(values.get("WatchdogSec", ""), 0.0),
        kill_mode=values.get("KillMode", "control-group"),
        oom_policy=values.get("OOMPolicy", "stop"),
    )


def span(text: str, default: float) -> float:
    """Read a span as systemd writes it: '1min 30s', '40', 'infinity', '0' (none)."""
    if not text:
        return default
    if text in ("infinity", "0"):
        return math.inf if text == "infinity" else 0.0
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    plain = text.replace("min", "m").replace("hour", "h").replace("hr", "h").replace("sec", "s")
    try:
        return seconds(plain)
    except OptionError:
        return default
