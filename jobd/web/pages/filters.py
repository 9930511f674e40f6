"""How values are written on pages: numbers, spans, sizes, instants, JSON. Pure.

An instant is written in UTC, with what a script needs to write it in the zone of who looks, or as an
age that goes on by itself: so that nothing has to be sent again for the time that passes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from markupsafe import Markup, escape

from jobd.core.durations import words
from jobd.core.sizes import size_words

LONGEST_JSON = 65_536
"""Characters of a value that are shown; the command line and the API have all of it."""
NONE = "—"
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_UNITS = ("", "k", "M", "G", "T")
_UNITS_OF_RATE = (("s", 1), ("min", 60))
_OFTEN_ENOUGH = 0.1  # of one in a second or a minute, to be told so
_THOUSAND = 1000
_MINUTE_MS = 60_000
_MARKS = re.compile(r"\{\{(-?\d{1,20})\}\}|`([^`]+)`")
_TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_NAMED = (
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {code: f"\\x{code:02x}" for code in range(0x7F, 0xA0)}
    | {code: f"\\u{code:04x}" for code in (*_TURNING, *range(0xD800, 0xE000))}
)


def number(value: float | None) -> str:
    """Write a count in full: 1,234,567."""
    return NONE if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """Write a count in at most five characters: 12.3k."""
    if value is None:
        return NONE
    scaled = float(value)
    for unit in _UNITS:
        if abs(scaled) < _THOUSAND or unit == _UNITS[-1]:
            break
        scaled /= _THOUSAND
    return f"{scaled:.0f}" if not unit else f"{scaled:.3g}{unit}"


def rate(value: float | None) -> str:
    """Write so many a second; what is seldom as so many a minute or an hour: 1.2k/s, 0.4/s, 10/h."""
    if not value:
        return NONE if value is None else "0"
    units = ((unit, value * seconds) for unit, seconds in _UNITS_OF_RATE)
    unit, many = next((each for each in units if each[1] >= _OFTEN_ENOUGH), ("h", value * 3600))
    return f"{many:.2g}/{unit}" if many < 10 else f"{short(many)}/{unit}"


def percent(value: float | None) -> str:
    """Write a share of one: 0.4 %."""
    if value is None:
        return NONE
    return f"{value * 100:.1f} %" if 0 < value < 0.1 else f"{value * 100:.0f} %"


def span(seconds: float | None) -> str:
    """Write a span: 1m 12s."""
    return NONE if seconds is None else words(seconds)


def millis(value: float | None) -> str:
    """Write a span of milliseconds: 12 ms, 1.2 s, 3m 4s."""
    if value is None:
        return NONE
    if value < _THOUSAND:
        return f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms"
    return f"{value / _THOUSAND:.1f} s" if value < _MINUTE_MS else words(value / _THOUSAND)


def about(value: float | None) -> str:
    """Write a span of milliseconds that is known to some two digits: ~12 ms, ~1.2 s, ~3m."""
    if value is None:
        return NONE
    known = float(f"{value:.2g}")
    if 10 * _THOUSAND <= known < _MINUTE_MS:
        return f"~{known / _THOUSAND:.0f} s"
    return f"~{millis(known)}"


def size(value: int | None) -> str:
    """Write a number of bytes: 12 MiB."""
    return NONE if value is None else size_words(value)


def when(ms: float | None) -> str | Markup:
    """Write an instant; the browser writes it in its own zone."""
    return _time(ms, "when")


def ago(ms: float | None) -> str | Markup:
    """Write an instant; the browser writes how long ago it was, or in what time it will be."""
    return _time(ms, "ago")


def clock(ms: float | None) -> str | Markup:
    """Write an instant; the browser writes how long it has been, as a clock that goes on: 1m 12s."""
    return _time(ms, "clock")


def _time(ms: float | None, kind: str) -> str | Markup:
    moment = _moment(ms)
    if moment is None:
        return NONE
    at = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    # Lists have many of them: nothing of it has to be escaped, all of it is ours.
    return Markup(f'<time datetime="{at}" data-{kind}>{shown}</time>')  # noqa: S704


def _moment(ms: float | None) -> datetime | None:
    try:
        return None if ms is None else datetime.fromtimestamp(ms / _THOUSAND, UTC)
    except (ValueError, OverflowError, OSError):
        return None  # a stranger's number


def pretty(value: Any) -> str:
    """Write a value as JSON, indented; what is very long is cut, and says so."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as error:
        return f"(cannot be written as JSON: {error})"
    if len(text) <= LONGEST_JSON:
        return text
    return f"{text[:LONGEST_JSON]}\n… {len(text) - LONGEST_JSON:,} more characters"


def cut(text: object, most: int = 200) -> str:
    """Write a text that a line has room for; what is longer is cut, and says so."""
    whole = visible(text)
    return whole if len(whole) <= most else f"{whole[:most]}… {len(whole) - most:,} more characters"


def visible(text: object) -> str:
    """Write a stranger's text so that all of it is seen, and nothing around it is moved: signs that
    control a terminal or turn the direction of writing are named."""
    whole = str(text)
    # All that is named here counts as not printable.
    return whole if whole.isprintable() else whole.translate(_NAMED)


def shown(value: object) -> object:
    """Write whatever a template puts out: text so that all of it is seen; what is HTML of ours as it is."""
    return visible(value) if type(value) is str else value


def mark(ms: int) -> str:
    """Put an instant into a text that `told` writes."""
    return f"{{{{{ms}}}}}"


def told(text: str) -> Markup:
    """Write a sentence of ours: instants that `mark` put in as the browser writes them, `commands` as code.

    It may have a stranger's words in it: they are text, whatever marks they imitate.
    """
    parts = []
    for at, piece in enumerate(_MARKS.split(visible(text))):
        match at % 3, piece:
            case 0, str():
                parts.append(escape(piece))
            case 1, str():
                parts.append(escape(when(float(piece))))
            case 2, str():
                parts.append(Markup("<code>{}</code>").format(piece))
    return Markup("").join(parts)


def dom_id(*names: str) -> str:
    """Make an element's id of names, whatever they are."""
    text = "-".join(names)
    if _ID.fullmatch(text):
        return text
    return f"x-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:20]}"


def points(values: Sequence[float], width: int = 120, height: int = 28) -> str:
    """Give the points of a line through values, the last one rightmost, for an SVG of this size."""
    top = max(values, default=0) or 1
    step = width / max(1, len(values) - 1)
    return " ".join(
        f"{at * step:.1f},{height - 1 - (height - 3) * value / top:.1f}"
        for at, value in enumerate(values)
    )


def bars(
    values: Sequence[float], top: float, width: float = 120, height: float = 20, base: float = 20
) -> str:
    """Give a path of upright bars, to be stroked, the last one rightmost; `height` is that of `top`.

    They stand on `base`; a negative height lets them hang from it. What is not nothing can be seen.
    """
    step = width / max(1, len(values))
    least = 1.5 if height > 0 else -1.5
    grow = max if height > 0 else min
    return "".join(
        f"M{(at + 0.5) * step:.4g} {base:.4g}v{-grow(least, height * value / (top or 1)):.3g}"
        for at, value in enumerate(values)
        if value > 0
    )


def added(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Add two lists, number by number."""
    return [a + b for a, b in zip(values, others, strict=True)]


def nice(value: float) -> float:
    """Give the round number at or above: 1, 2, 4, 5, 8 or 10 times a power of ten."""
    scale = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((each * scale for each in (1, 2, 4, 5, 8) if value <= each * scale), 10 * scale)


def since(seconds: float | None, now: int) -> int | None:
    """Give the instant (ms) that many seconds before `now`, to the second: the same at each look."""
    return None if seconds is None else round((now - seconds * _THOUSAND) / _THOUSAND) * _THOUSAND


def _bounded(write: Callable[..., str]) -> Callable[..., str]:
    """Make a filter of it for what a stranger may have written, too: a number larger than any is none."""

    def written(value: Any) -> str:
        try:
            return write(value)
        except (OverflowError, ValueError):
            return NONE

    return written


_NUMBERS = (number, short, rate, percent, span, millis, about, size)
FILTERS = {
    **{write.__name__: _bounded(write) for write in _NUMBERS},
    "when": when, "ago": ago, "clock": clock, "pretty": pretty, "points": points,
    "cut": cut, "visible": visible, "told": told,
    "bars": bars, "nice": nice, "added": added, "since": since,
}  # fmt: skip
