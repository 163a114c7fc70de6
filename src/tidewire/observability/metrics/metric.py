"""The rows of the table of metrics: what one is, and where its figures come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from tidewire.core.inspection.survey import Distribution, Survey, Tables
from tidewire.core.state.statistics import Statistics
from tidewire.engine.recovery import RecoveryReport
from tidewire.observability.counters import Histogram, HttpStatistics, JournalStatistics
from tidewire.observability.metrics.event_times import EventTimes
from tidewire.observability.metrics.reporter import CountingReporter
from tidewire.observability.process import Process
from tidewire.ports.bus import BusState


class Kind(StrEnum):
    """How a figure moves, in the words of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SPREAD = "gauge histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where figures come from.

    Attributes:
        version: of the server.
        statistics: what the shard counted.
        event_times: how long events took.
        journal: what the journal did.
        tail_bytes: says what recovery would have to apply.
        journal_fails: says whether the journal can't be written.
        reported: what went wrong without stopping anything.
        comeback: what the start found.
        http: what was counted of requests.
        suppressed: entries left out of the log, by what they would have said.
        bus: says how it stands with the bus.
        process: the process.
        memory_budget: bytes that all queues may take; 0: no bound.
    """

    version: str
    statistics: Statistics
    event_times: EventTimes
    journal: JournalStatistics
    tail_bytes: Callable[[], int]
    journal_fails: Callable[[], bool]
    reported: CountingReporter
    comeback: RecoveryReport
    http: HttpStatistics
    suppressed: Mapping[str, int]
    bus: Callable[[], BusState]
    process: Process
    memory_budget: int


class View(NamedTuple):
    """What one scrape shows: the sources, the queues, and the tables of the shard."""

    sources: Sources
    survey: Survey[Any]
    tables: Tables


Labels: TypeAlias = tuple[str, ...]
"""Values of a row's labels, in their order."""

Figures: TypeAlias = float | Mapping[Any, float] | Histogram | Mapping[Any, Histogram] | Distribution
"""A row's figures by the values of its labels (`Labels`); without labels a bare one."""

NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Metric(NamedTuple):
    """A row.

    Attributes:
        name: as it is written, with the `_total` of counters.
        kind: how it moves.
        meaning: a sentence for a person; Prometheus shows it as help.
        read: gives its figures.
        labels: its labels, and what the values of each are.
    """

    name: str
    kind: Kind
    meaning: str
    read: Callable[[View], Figures]
    labels: Mapping[str, str] = NO_LABELS


Group: TypeAlias = tuple[str, Sequence[Metric]]
"""A heading of the reference page, and the rows under it."""
