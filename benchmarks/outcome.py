"""What a measure answers with: tables, bars and failures. Rendered by benchmarks.report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.figures import Spread


@dataclass(frozen=True, slots=True)
class Table:
    """A table; cells are Markdown."""

    title: str
    intro: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise with a number. ``value`` None: it could not be measured here."""

    what: str
    sense: Literal[">=", "<="]
    bar: float
    unit: str
    value: Spread | None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.sense == ">=":
            return "met" if self.value.median >= self.bar else "MISSED"
        return "met" if self.value.median <= self.bar else "MISSED"


@dataclass
class Outcome:
    """Everything one measure found."""

    tables: list[Table] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
