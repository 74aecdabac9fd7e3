"""One answer to a scrape: the values of the catalogue's metrics, as prometheus_client writes them."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from node.monitor.catalogue import METRICS, Kind

_KNOWN = {metric.name: metric for metric in METRICS}


class Histogram:
    """Counts of values by bucket."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        #: The last one is of what exceeds every bound.
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def copy(self) -> "Histogram":
        """Return one that no further value changes."""
        made = Histogram(self._bounds)
        made._counts, made.total = list(self._counts), self.total
        return made

    def observe(self, value: float) -> None:
        """Count a value; a bound belongs to the bucket below it."""
        place = bisect_left(self._bounds, value)
        self._counts[place] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the bounds, as Prometheus writes them, each with the count of what does not exceed it."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True))


class Sheet(Collector):
    """The values of one moment. A metric without any is written without samples."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in _KNOWN}
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {name: {} for name in _KNOWN}

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge or counter of the catalogue, its labels in the catalogue's order."""
        assert len(labels) == len(_KNOWN[name].labels), name  # noqa: S101 - a slip of this software
        self._values[name][labels] = value

    def set_all(self, name: str, values: Mapping[str, float]) -> None:
        """Set a gauge or counter with one label."""
        for label, value in values.items():
            self.set(name, value, label)

    def set_histogram(self, name: str, histogram: Histogram, *labels: str) -> None:
        """Set a histogram of the catalogue. It is not copied."""
        self._histograms[name][labels] = histogram

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the catalogue, in its order."""
        for known in METRICS:
            if known.kind is Kind.HISTOGRAM:
                histogram = HistogramMetricFamily(known.name, known.help, labels=known.labels)
                for labels, found in self._histograms[known.name].items():
                    histogram.add_metric(labels, found.buckets(), found.total)
                yield histogram
                continue
            family = CounterMetricFamily if known.kind is Kind.COUNTER else GaugeMetricFamily
            made = family(known.name, known.help, labels=known.labels)
            for labels, value in self._values[known.name].items():
                made.add_metric(labels, value)
            yield made
