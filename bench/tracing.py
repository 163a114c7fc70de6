"""What tracing costs: a notice, the polls that fetch and acknowledge its event, with tracing off and on."""

from collections.abc import Sequence

import msgspec
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from fan_out import EVENT
from measure import Case, alternate, print_table
from shards import Kept, engine_with_queues
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.shard import Shard
from tidewire.engine.engine import PollWaiter
from tidewire.tracing.otel import OtelTracer
from tidewire.tracing.traced_shard import TracedShard
from tidewire.tracing.traces import Traces

OFF = "off"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
CASES = {
    OFF: (False, None),
    "off, notices with a trace": (False, f"{TRACE}1"),
    "on, notices without": (True, None),
    "on, traces that are not sampled": (True, f"{TRACE}0"),
    "on, traces that are": (True, f"{TRACE}1"),
}
WIDE, NARROW = 10_000, 1


class Encoding(SpanExporter):
    """Does what the exporter does, but for sending."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encodes them."""
        encode_spans(spans).SerializeToString()
        self.spans += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to end."""


def main(*, rounds: int) -> None:
    """Measures and prints."""
    for title, queues, notices, unit in (
        (f"An event to {WIDE:,} queues, each of which polls and acknowledges", WIDE, 1, "us a recipient"),
        ("An event to one queue, which polls and acknowledges", NARROW, 1000, "us a notice"),
    ):
        cases = {
            name: _case(queues, notices, traceparent, is_on=is_on)
            for name, (is_on, traceparent) in CASES.items()
        }
        print_table(title, alternate(cases, rounds=rounds), unit=unit, base=OFF)


def _case(queues: int, notices: int, traceparent: str | None, *, is_on: bool) -> Case:
    notice = {"event": EVENT, "users": list(range(queues)), "realm_id": 1}
    raw = msgspec.json.encode(notice if traceparent is None else notice | {"traceparent": traceparent})
    engine, queue_ids = engine_with_queues(queues, shard=_traced() if is_on else Shard())
    slot = Kept()

    def run() -> int:
        for _ in range(notices):
            engine.publish([decode_notice(raw)], slot)
            for user, queue_id in enumerate(queue_ids):
                descriptor = engine.shard.find(queue_id)
                assert descriptor is not None
                newest = descriptor.queue.next_event_id - 1
                for last in (newest - 1, newest):
                    engine.poll(queue_id, user_id=UserId(user), last_event_id=last, block=False, waiter=slot)
        return queues * notices

    return Case(run)


def _traced() -> Shard[PollWaiter]:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = Encoding()
    # Room for all spans of a round, so that none is dropped, which costs less.
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
    return TracedShard(Traces(OtelTracer(provider, exporter), per_notice=20, most_open=10_000))
