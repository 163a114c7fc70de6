"""What is observed of a server beside its answers: where its log goes, what is counted, and whether it is traced."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from structlog.typing import FilteringBoundLogger

from tidewire.config import ConfigError, Problem
from tidewire.config.settings import Tracing
from tidewire.core.events.coalescing import MergeRule
from tidewire.core.events.presentation import Presentation
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.state.statistics import Stopwatch
from tidewire.engine.engine import PollWaiter
from tidewire.observability.counters import JournalStatistics
from tidewire.observability.log_level import LogControl
from tidewire.observability.request_entries import Lines
from tidewire.ports.bus import BusState, Embedded
from tidewire.tracing.spans import Tracer
from tidewire.tracing.traced_shard import TracedShard
from tidewire.tracing.traces import Losses, Traces


@dataclass(frozen=True, kw_only=True, slots=True)
class Telemetry:
    """What is seen of a server beside its answers.

    Attributes:
        lines: the shorter way of request entries into the log, if there is one.
        log_control: by which the log is changed while the server runs, if it can be.
        journal: where the journal's work is counted.
        bus: says how it stands with the bus.
    """

    lines: Lines | None = None
    log_control: LogControl | None = None
    journal: JournalStatistics = field(default_factory=JournalStatistics)
    bus: Callable[[], BusState] = Embedded().state


FROM_ENVIRONMENT = "environment"
"""The `tracing.endpoint` of who sets OTEL_EXPORTER_OTLP_ENDPOINT."""


def otel_module() -> Any:
    """`tidewire.tracing.otel`, which needs an extra.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("tidewire.tracing.otel")
    except ModuleNotFoundError as error:
        raise _wrong("this installation", 'pip install "tidewire[otel]"', f"no {error.name}") from error


def open_traces(settings: Tracing, *, log: FilteringBoundLogger) -> Traces | None:
    """What is traced; None when nothing is.

    Raises:
        ConfigError: OpenTelemetry is not installed, or its own variables can't be used.
    """
    if not settings.endpoint:
        return None

    def tell_of_exports(failing: bool) -> None:
        if failing:
            log.warning("traces can't be exported", endpoint=settings.endpoint)
        else:
            log.info("traces are exported again")

    def tell_of_losses(losses: Losses) -> None:
        log.warning("traces are incomplete", **losses._asdict())

    otel = otel_module()
    try:
        tracer: Tracer = otel.open_tracer(
            endpoint=None if settings.endpoint == FROM_ENVIRONMENT else settings.endpoint,
            service_name=settings.service_name,
            on_failing=tell_of_exports,
        )
    except ValueError as error:
        raise _wrong("environment", "OTEL_* variables that OpenTelemetry can use", str(error)) from error
    return Traces(
        tracer,
        per_notice=settings.deliveries_per_notice,
        most_open=settings.max_open_deliveries,
        on_losses=tell_of_losses,
    )


def shard_for(
    traces: Traces | None,
    *,
    limits: Limits,
    rules: Mapping[str, MergeRule],
    presentation: Presentation,
    stopwatch: Stopwatch | None = None,
) -> Shard[PollWaiter]:
    """An empty shard, of the kind that tells `traces`."""
    if traces is None:
        return Shard(limits=limits, rules=rules, presentation=presentation, stopwatch=stopwatch)
    return TracedShard(traces, limits=limits, rules=rules, presentation=presentation, stopwatch=stopwatch)


def _wrong(source: str, expected: str, found: str) -> ConfigError:
    return ConfigError([Problem(source, "tracing.endpoint", expected, found)])
