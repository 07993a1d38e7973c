"""Reads Prometheus' text format, as far as counters, gauges and histograms go."""

import re

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)(?: \d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class Metrics:
    """Each sample by its name and its labels."""

    def __init__(self, text: str) -> None:
        self._samples: dict[tuple[str, Labels], float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = _SAMPLE.match(line)
                assert match, f"no sample of Prometheus: {line!r}"
                labels = frozenset(_LABEL.findall(match["labels"] or ""))
                self._samples[match["name"], labels] = float(match["value"])

    def value(self, name: str, **labels: str) -> float:
        found = self._samples.get((name, frozenset(labels.items())))
        assert found is not None, f"no {name} {labels}; there are {sorted(self.names())}"
        return found

    def names(self) -> set[str]:
        return {name for name, _ in self._samples}

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """Every sample of that name above 0, by one of its labels."""
        return {
            dict(labels)[label]: value
            for (found, labels), value in self._samples.items()
            if found == name and value
        }
