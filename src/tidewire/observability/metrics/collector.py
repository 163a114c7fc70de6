"""From the table of metrics to what prometheus-client writes."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.utils import floatToGoString

from tidewire.core.inspection.survey import Distribution
from tidewire.observability.counters import Histogram
from tidewire.observability.metrics.definitions import (
    BUS,
    HTTP,
    MEMORY,
    NOTICES,
    NOTIFICATIONS,
    POLLS,
    PROCESS,
    QUEUES,
    STORAGE,
)
from tidewire.observability.metrics.metric import Figures, Group, Kind, Labels, Metric, View

GROUPS: tuple[Group, ...] = (
    NOTICES,
    POLLS,
    QUEUES,
    MEMORY,
    NOTIFICATIONS,
    STORAGE,
    BUS,
    HTTP,
    PROCESS,
)

TABLE: tuple[Metric, ...] = tuple(metric for _, rows in GROUPS for metric in rows)
"""Every metric there is; adding one means adding a row to a group."""


def families(view: View) -> Iterator[Family]:
    """The metrics, one after the other, with their figures as they are when asked for."""
    for metric in TABLE:
        yield _family(metric, metric.read(view))


def _family(metric: Metric, figures: Figures) -> Family:
    labels = list(metric.labels)
    if metric.kind is Kind.COUNTER:
        counter = CounterMetricFamily(metric.name, metric.meaning, labels=labels)
        for values, figure in _numbers(figures):
            counter.add_metric(values, figure)
        return counter
    if metric.kind is Kind.GAUGE:
        gauge = GaugeMetricFamily(metric.name, metric.meaning, labels=labels)
        for values, figure in _numbers(figures):
            gauge.add_metric(values, figure)
        return gauge
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.meaning, labels=labels)
        for values, found in _histograms(figures):
            histogram.add_metric(values, _buckets(found.bounds, found.counts), found.total)
        return histogram
    if not isinstance(figures, Distribution):
        raise TypeError(f"{metric.name} is not spread over queues")
    spread = GaugeHistogramMetricFamily(metric.name, metric.meaning)
    spread.add_metric([], _buckets(figures.bounds, figures.counts), figures.total)
    return spread


def _numbers(figures: Figures) -> Iterator[tuple[Labels, float]]:
    if isinstance(figures, Mapping):
        for values, figure in figures.items():
            if not isinstance(figure, Histogram):
                yield values, float(figure)
    elif isinstance(figures, int | float):
        yield (), float(figures)


def _histograms(figures: Figures) -> Iterator[tuple[Labels, Histogram]]:
    if isinstance(figures, Mapping):
        for values, figure in figures.items():
            if isinstance(figure, Histogram):
                yield values, figure
    elif isinstance(figures, Histogram):
        yield (), figures


def _buckets(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    """The classes as Prometheus has them: each with all that are below it."""
    names = [*map(floatToGoString, bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))
