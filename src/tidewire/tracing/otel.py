"""Spans by OpenTelemetry, exported as OTLP over HTTP (needs `tidewire[otel]`).

The SDK's batch thread exports; here spans are only put in its queue, which drops what it has no room for. Sampler,
resource, batching, headers, certificates and timeouts follow the standard OTEL_* variables.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tidewire import __version__
from tidewire.tracing.spans import Attributes, Moment, Span, Tracer
from tidewire.tracing.traceparent import Parent

TRACES_PATH = "/v1/traces"
ERROR_TYPE = "error.type"
"""The attribute of the semantic conventions that says how something failed."""

CLOSE_WITHIN = 1.0
"""Seconds that a stop waits for the collector: with the polls and the bus it must be done in five."""

EXPORTERS_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
"""Where the exporter writes an entry for each attempt that fails."""


def exporter_for(endpoint: str | None) -> SpanExporter:
    """Exports to a collector.

    Args:
        endpoint: its URL, to which the path `/v1/traces` is added when it has none; None: what the variables
            OTEL_EXPORTER_OTLP_* say.
    """
    if endpoint is not None and urlsplit(endpoint).path in {"", "/"}:
        endpoint = endpoint.rstrip("/") + TRACES_PATH
    return OTLPSpanExporter(endpoint=endpoint)


def resource(service_name: str) -> Resource:
    """What all spans say of the server; without a name, OTEL_SERVICE_NAME or else `tidewire`."""
    said = Resource.create({SERVICE_VERSION: __version__})
    named = service_name or os.environ.get("OTEL_SERVICE_NAME", "")
    # OTEL_RESOURCE_ATTRIBUTES may have it too; without any, the SDK makes up a name that says it is unknown.
    if not named and str(said.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        named = "tidewire"
    return said.merge(Resource({SERVICE_NAME: named})) if named else said


class TellingExporter(SpanExporter):
    """An exporter that tells when exporting ceases to work, and when it works again: once each, and not each time."""

    def __init__(self, exporter: SpanExporter, on_failing: Callable[[bool], None]) -> None:
        """Takes who exports, and whom to tell; from the batch thread."""
        self._exporter = exporter
        self._on_failing = on_failing
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports a batch."""
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing is not self._failing:
            self._failing = failing
            self._on_failing(failing)
        return result

    def shutdown(self) -> None:
        """Gives up what is tried again."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Exports what the exporter holds back."""
        return self._exporter.force_flush(timeout_millis)


class OtelSpan(Span):
    """A span of the SDK's; what is kept when it has ended is no more than its children need."""

    __slots__ = ("_below", "_span", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span: trace.Span | None = span
        self._below = trace.set_span_in_context(NonRecordingSpan(span.get_span_context()), Context())

    def end(self, at: float, attributes: Attributes, *, error: str = "") -> None:
        """Ends the span at `at` (UNIX seconds); with `error`, as failed with that code."""
        span, self._span = self._span, None
        if span is None:
            return
        span.set_attributes(attributes)
        if error:
            span.set_attribute(ERROR_TYPE, error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(_nanoseconds(at))

    def add(
        self, name: str, *, began: float, ended: float, moments: Sequence[Moment], attributes: Attributes
    ) -> None:
        """Adds a child span that has ended, also if this span ended before."""
        span = self._tracer.start_span(
            name,
            self._below,
            kind=SpanKind.PRODUCER,
            attributes=attributes,
            start_time=_nanoseconds(began),
        )
        for moment, at in moments:
            span.add_event(moment, timestamp=_nanoseconds(at))
        span.end(_nanoseconds(ended))


class OtelTracer(Tracer):
    """A tracer of this server's own: nothing of OpenTelemetry's global state is used or set."""

    def __init__(self, provider: TracerProvider, exporter: SpanExporter) -> None:
        """Takes the provider, which exports through `exporter`; `open_tracer` makes both."""
        self._provider = provider
        self._exporter = exporter
        self._tracer = provider.get_tracer("tidewire", __version__)

    def begin(self, name: str, parent: Parent, *, at: float) -> OtelSpan | None:
        """Begins a span below one of another process; None if the sampler does not record it."""
        remote = SpanContext(parent.trace_id, parent.span_id, True, TraceFlags(parent.flags))
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(NonRecordingSpan(remote), Context()),
            kind=SpanKind.CONSUMER,
            start_time=_nanoseconds(at),
        )
        return OtelSpan(self._tracer, span) if span.is_recording() else None

    def close(self) -> None:
        """Exports what is left, for a second at most; a collector that doesn't answer is left to a daemon thread."""
        closing = threading.Thread(target=self._provider.shutdown, name="closing-traces", daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN)
        if closing.is_alive():
            self._exporter.shutdown()


def open_tracer(*, endpoint: str | None, service_name: str, on_failing: Callable[[bool], None]) -> OtelTracer:
    """A tracer that exports to a collector.

    Args:
        endpoint: as for `exporter_for`.
        service_name: as for `resource`.
        on_failing: told, from another thread, when exporting ceases to work (True), and when it works again.

    Raises:
        ValueError: a variable of OpenTelemetry's has a value that can't be used.
    """
    # It is told of once, and not every second.
    logging.getLogger(EXPORTERS_LOG).setLevel(logging.CRITICAL)
    exporter = TellingExporter(exporter_for(endpoint), on_failing)
    provider = TracerProvider(resource=resource(service_name), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OtelTracer(provider, exporter)


def _nanoseconds(at: float) -> int:
    return round(at * 1e9)
