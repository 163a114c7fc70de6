"""Spans as OpenTelemetry gets them, and a collector that is not there."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from support.core_rig import START, KeepingSlot, Rig
from support.events import notice
from support.http_stub import Reply, StubServer
from support.stopwatch import Stopwatch
from support.traces import SAMPLED, SPAN, TRACE, UNSAMPLED
from tidewire import __version__
from tidewire.core.errors import NoticeIdReused
from tidewire.core.notices.request_body import decode_notices
from tidewire.tracing.otel import OtelTracer, TellingExporter, exporter_for, open_tracer, resource
from tidewire.tracing.traced_shard import TracedShard
from tidewire.tracing.traceparent import Parent, read_traceparent
from tidewire.tracing.traces import Traces

VARIABLES = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_ENDPOINT")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def rig_with(exporter: SpanExporter, sampler: Sampler | None = None) -> Rig:
    made = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    traces = Traces(OtelTracer(made, exporter), per_notice=10, most_open=100)
    return Rig(shard=TracedShard(traces))


def publish(rig: Rig, traceparent: str = SAMPLED, users: Sequence[int] = (1,), **members: Any) -> None:
    raw = notice({"type": "deploy"}, users, traceparent=traceparent, **members)
    rig.engine.publish(decode_notices(raw), KeepingSlot[int]())


def test_both_spans_are_of_the_publisher_s_trace_one_below_the_other(exporter: InMemorySpanExporter) -> None:
    rig = rig_with(exporter)
    queue_id = rig.register()
    publish(rig)
    rig.clock.time += 1.5
    rig.poll(queue_id)
    rig.clock.time += 1
    rig.poll(queue_id, 0, block=True)
    first, second = exporter.get_finished_spans()
    for span in (first, second):
        assert span.context is not None
        assert f"{span.context.trace_id:x}" == TRACE
        assert span.context.trace_flags.sampled
    assert first.parent is not None
    assert second.parent is not None
    assert (f"{first.parent.span_id:016x}", first.parent.is_remote) == (SPAN, True)
    assert first.context is not None
    assert second.parent.span_id == first.context.span_id
    assert (first.name, first.kind, second.name, second.kind) == (
        "publish",
        SpanKind.CONSUMER,
        "deliver",
        SpanKind.PRODUCER,
    )
    begin = int(START * 1e9)
    assert (first.start_time, first.end_time) == (begin, begin)
    assert (second.start_time, second.end_time) == (begin, begin + 2_500_000_000)
    assert [(event.name, event.timestamp) for event in second.events] == [("sent", begin + 1_500_000_000)]
    assert second.attributes is not None
    assert second.attributes["tidewire.outcome"] == "acknowledged"
    assert first.status.status_code is StatusCode.UNSET


def test_a_refusal_is_an_error(exporter: InMemorySpanExporter) -> None:
    rig = rig_with(exporter)
    publish(rig, id="a")
    with pytest.raises(NoticeIdReused):
        publish(rig, id="a", users=[2])
    span = exporter.get_finished_spans()[-1]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "NOTICE_ID_REUSED"


def test_the_flag_and_the_sampler_are_heeded(exporter: InMemorySpanExporter) -> None:
    publish(rig_with(exporter), UNSAMPLED)
    publish(rig_with(exporter, sampler=ALWAYS_OFF))
    assert exporter.get_finished_spans() == ()
    publish(rig_with(exporter))
    assert len(exporter.get_finished_spans()) == 1


def test_a_span_without_an_acknowledgement_holds_no_span_of_the_sdk(exporter: InMemorySpanExporter) -> None:
    rig = rig_with(exporter)
    rig.register()
    publish(rig)
    assert isinstance(rig.engine.shard, TracedShard)
    ((delivery,),) = (queue.values() for queue in rig.engine.shard.traces.queues.values())
    assert getattr(delivery.span, "_span", "missing") is None


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("", {}, "tidewire"),
        ("", {"OTEL_SERVICE_NAME": "pushes"}, "pushes"),
        ("", {"OTEL_RESOURCE_ATTRIBUTES": "service.name=realtime,team=a"}, "realtime"),
        ("events", {"OTEL_SERVICE_NAME": "pushes"}, "events"),
    ],
)
def test_what_the_server_is_called(
    monkeypatch: pytest.MonkeyPatch, name: str, variables: dict[str, str], expected: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    attributes = resource(name).attributes
    assert (attributes["service.name"], attributes["service.version"]) == (expected, __version__)
    if "OTEL_RESOURCE_ATTRIBUTES" in variables:
        assert attributes["team"] == "a"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/otlp/v1/traces", "http://127.0.0.1:4318/otlp/v1/traces"),
        (None, "http://127.0.0.1:4300/v1/traces"),
    ],
)
def test_where_spans_go(monkeypatch: pytest.MonkeyPatch, endpoint: str | None, expected: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4300")
    exporter = exporter_for(endpoint)
    assert getattr(exporter, "_endpoint", None) == expected
    exporter.shutdown()


class Failing(SpanExporter):
    """Gives results in turn."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)

    def export(self, spans: object) -> SpanExportResult:
        """The next result."""
        del spans
        return self._results.pop(0)

    def shutdown(self) -> None:
        """Nothing to end."""


def test_it_is_told_once_that_exporting_fails_and_once_that_it_works_again() -> None:
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    told: list[bool] = []
    exporter = TellingExporter(Failing(good, bad, bad, good, good), told.append)
    for _ in range(5):
        exporter.export(list[ReadableSpan]())
    assert told == [True, False]


def parent() -> Parent:
    found = read_traceparent(SAMPLED)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_collector_that_never_answers_does_not_hold_a_stop() -> None:
    with StubServer() as stub:
        stub.replies.append(Reply(hang=True))
        tracer = open_tracer(endpoint=stub.url, service_name="", on_failing=lambda _: None)
        span = tracer.begin("publish", parent(), at=time.time())
        assert span is not None
        span.end(time.time(), {})
        began = time.monotonic()
        watch = Stopwatch()
        tracer.close()
        assert time.monotonic() - began > 0.9
        assert watch.seconds < 2


def test_what_an_application_injects_is_what_is_read() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    carrier: dict[str, str] = {}
    with provider.get_tracer("application").start_as_current_span("request") as span:
        inject(carrier)
    found = read_traceparent(carrier["traceparent"])
    assert found is not None
    assert (found.trace_id, found.span_id) == (
        span.get_span_context().trace_id,
        span.get_span_context().span_id,
    )
    assert found.is_sampled
