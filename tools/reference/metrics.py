"""The page of the metrics, made from their table: `make reference` writes it."""

from collections.abc import Iterator, Sequence

from tidewire.observability.metrics.collector import GROUPS
from tidewire.observability.metrics.metric import Group, Metric

INTRODUCTION = """\
# Metrics

<!-- Made by `make reference`; change the tables in `src/tidewire/observability/metrics/` instead. -->

`GET /metrics` gives them to Prometheus: as text, or as OpenMetrics when the request asks for that. It needs no account, so
a proxy must not pass it on; the files in [Put it behind a proxy](../howto/put-behind-a-proxy.md) don't.
[Watch it with Prometheus](../howto/watch-with-prometheus.md) has rules for alerts and a dashboard.

- No label names a user, a queue or anything else that clients can make up, so the number of series is bounded.
- Counters begin at 0 with the process. What a start brings back from the journal is not counted again.
- Figures about queues are found by looking at each, in slices, at most once a second.
- A histogram has `_bucket`, `_sum` and `_count`. A gauge histogram says how something is spread at this moment, so all of
  it may fall: it has `_bucket`, `_gsum` and `_gcount`.
"""


def render() -> str:
    """The page: a section for each group, a row for each metric."""
    return "\n".join([INTRODUCTION, *map(_section, GROUPS)])


def _section(group: Group) -> str:
    heading, rows = group
    lines = [f"## {heading}", "", "| Metric | Kind | Meaning |", "| --- | --- | --- |"]
    return "\n".join([*lines, *map(_row, rows), *_labels(rows), ""])


def _row(metric: Metric) -> str:
    named = f" By {_names(metric)}." if metric.labels else ""
    return f"| `{metric.name}` | {metric.kind.value} | {metric.meaning}{named} |"


def _names(metric: Metric) -> str:
    return " and ".join(f"`{name}`" for name in metric.labels)


def _labels(rows: Sequence[Metric]) -> Iterator[str]:
    """What the labels of a group mean."""
    found = [(metric, name, meaning) for metric in rows for name, meaning in metric.labels.items()]
    if found:
        yield ""
        yield "| Label | Of | Its values |"
        yield "| --- | --- | --- |"
    for metric, name, meaning in found:
        yield f"| `{name}` | `{metric.name}` | {meaning[0].upper()}{meaning[1:]}. |"
