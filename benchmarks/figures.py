"""Medians, spreads and ratios, and how they are written. Pure; used by every measure.

Invariant: a ratio is taken between two samples of the same round and only then summarised, so a
machine that slows down for a minute slows both sides of it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of some samples."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 0, unit: str = "") -> str:
        """``26,337 (25,748-26,867)``; of a single sample only ``26,337``."""
        centre, low, high = (f"{x:,.{digits}f}" for x in (self.median, self.low, self.high))
        return f"{centre}{unit}" + ("" if self.low == self.high else f" ({low}-{high})")


def spread(samples: Sequence[float | None]) -> Spread | None:
    """Summary of the samples that there are; None when there is none."""
    known = [x for x in samples if x is not None]
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known))


def middle(samples: Sequence[float]) -> Spread:
    """Median and quartiles of at least two samples."""
    low, centre, high = statistics.quantiles(samples, n=4)
    return Spread(centre, low, high)


def ratios(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Spread | None:
    """Summary of ours / theirs, round by round; None when no round has both."""
    pairs = zip(ours, theirs, strict=False)
    return spread([a / b for a, b in pairs if a is not None and b is not None and b > 0])


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, ``share`` in 0..1, of a non-empty sequence."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def show(value: Spread | None, digits: int = 0, unit: str = "") -> str:
    """A table cell; a dash where nothing was measured."""
    return "-" if value is None else value.text(digits, unit)
