"""What `/metrics` says, read by another's parser, and the laws that any exposition obeys."""

from __future__ import annotations

from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A name and its labels, sorted."""


class Exposition:
    """One scrape. `kinds` and `helps` are by family, as the text names it."""

    def __init__(self, body: bytes) -> None:
        self.text = body.decode()
        self.values: dict[Series, float] = {}
        self.kinds: dict[str, str] = {}
        self.helps: dict[str, str] = {}
        self.doubled: list[Series] = []
        for family in text_string_to_metric_families(self.text):
            name = family.name + ("_total" if family.type == "counter" else "")
            self.kinds[name], self.helps[name] = family.type, family.documentation
            for sample in family.samples:
                series = (sample.name, tuple(sorted(sample.labels.items())))
                self.doubled += [series] * (series in self.values)
                self.values[series] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """One sample. Raises KeyError where there is none."""
        return self.values[name, tuple(sorted(labels.items()))]

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of a name, added up by these of their labels."""
        found: dict[tuple[str, ...], float] = defaultdict(float)
        for (sample, pairs), value in self.values.items():
            if sample == name:
                known = dict(pairs)
                found[tuple(known[label] for label in labels)] += value
        return dict(found)

    def counters(self) -> dict[Series, float]:
        """Everything that may never go down."""
        return {
            series: value for series, value in self.values.items() if counts(series[0], self.kinds)
        }

    def broken_laws(self) -> list[str]:
        """Say what is wrong with it."""
        wrong = [f"twice: {series}" for series in self.doubled]
        wrong += [f"no HELP: {name}" for name in self.kinds if not self.helps[name]]
        wrong += [f"untyped: {name}" for name, kind in self.kinds.items() if kind == "unknown"]
        typed = [line.split()[2:4] for line in self.text.splitlines() if line.startswith("# TYPE")]
        wrong += [
            f"a counter without _total: {name}"
            for name, kind in typed
            if kind == "counter" and not name.endswith("_total")
        ]
        wrong += [f"below 0: {s}" for s, value in self.counters().items() if not value >= 0]
        for name, kind in self.kinds.items():
            if kind == "histogram":
                wrong += self._wrong_histograms(name)
        return wrong

    def _wrong_histograms(self, name: str) -> list[str]:
        rows: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
        for (sample, pairs), value in self.values.items():
            if sample == name + "_bucket":
                le = float(dict(pairs)["le"])
                rows[tuple(pair for pair in pairs if pair[0] != "le")].append((le, value))
        wrong = []
        for of, row in rows.items():
            counts_so_far = [count for _, count in sorted(row)]
            if counts_so_far != sorted(counts_so_far):
                wrong.append(f"not cumulative: {name} {of}")
            if sorted(row)[-1][0] != float("inf"):
                wrong.append(f"no +Inf: {name} {of}")
            if counts_so_far[-1] != self.values[name + "_count", of]:
                wrong.append(f"+Inf is not _count: {name} {of}")
            if (name + "_sum", of) not in self.values:
                wrong.append(f"no _sum: {name} {of}")
        return wrong


def counts(sample: str, kinds: dict[str, str]) -> bool:
    """Whether a sample belongs to something that only grows."""
    if kinds.get(sample) == "counter":
        return True
    family, _, suffix = sample.rpartition("_")
    return suffix in ("bucket", "count", "sum") and kinds.get(family) == "histogram"
