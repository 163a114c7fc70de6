"""Tracing with a real server and a collector: what comes there, and what a collector that fails does to others."""

import signal
import time

import pytest

from support.collector import CollectedSpan, Collector
from support.http_stub import Reply
from support.server_process import SECRET, STOP_WITHIN, ServerProcess, StartServer, free_port
from support.stopwatch import Stopwatch
from support.traces import SAMPLED, SPAN, TRACE, UNSAMPLED
from tidewire.publisher import AsyncPublisher, Publisher

pytestmark = pytest.mark.slow

EVENT = {"type": "deploy", "token": "words that no span may say"}


def by_name(spans: list[CollectedSpan], name: str) -> list[CollectedSpan]:
    return [span for span in spans if span.name == name]


def publish(server: ServerProcess, *traces: str | None) -> None:
    with Publisher(server.url, secret=SECRET) as publisher:
        for trace in traces:
            publisher.send_event(event=EVENT, users=[1, 2], traceparent=trace)


async def test_a_collector_gets_the_way_of_an_event_from_publish_to_acknowledgement(
    start_server: StartServer, collector: Collector
) -> None:
    server = start_server(f"tracing.endpoint={collector.url}", "tracing.service_name=events")
    reads, never = server.register("ada"), server.register("bob")
    waiting = server.park("ada", reads)
    before = time.time_ns()
    async with AsyncPublisher(server.url, secret=SECRET) as publisher:
        await publisher.send_event(event=EVENT, users=[1, 2], traceparent=SAMPLED)
    assert [event["id"] for event in waiting.answer().json["events"]] == [0]
    assert server.events("ada", reads, 0) == []
    publish(server, None, UNSAMPLED, "no trace at all")
    assert [event["id"] for event in server.events("ada", reads, 0)] == [1, 2, 3]
    assert server.stop() == 0, server.log
    spans = collector.spans()
    (published,) = by_name(spans, "publish")
    assert (published.service, published.trace_id, published.parent_id) == ("events", TRACE, SPAN)
    assert published.attributes["tidewire.deliveries"] == 2
    delivered = {span.attributes["tidewire.queue.id"]: span for span in by_name(spans, "deliver")}
    assert {*delivered} == {reads, never}
    for span in delivered.values():
        assert (span.trace_id, span.parent_id) == (TRACE, published.span_id)
        # The shard's time may be ahead of the clock on the wall by what a reading takes.
        assert before - 1_000_000_000 < published.began <= span.began <= span.ended
    first, second = delivered[reads], delivered[never]
    assert (first.attributes["tidewire.outcome"], first.attributes["tidewire.sends"]) == ("acknowledged", 1)
    assert first.began <= first.moments["sent"] <= first.ended
    assert second.attributes["tidewire.outcome"] == "server_stopped"
    assert second.moments == {}
    assert len(spans) == 3
    assert not [asked for asked in collector.asked if b"words" in asked.body]
    assert "Traceback" not in server.log


def test_the_lane_and_the_ordinary_route_trace_alike(start_server: StartServer, collector: Collector) -> None:
    server = start_server(f"tracing.endpoint={collector.url}")
    notice = {"event": EVENT, "users": [1], "traceparent": SAMPLED}
    assert server.publish(notice, notice).json["accepted"] == 2
    assert server.ask(
        "POST",
        "/api/internal/notify_tornado",
        form={"secret": SECRET, "data": f'{{"event": {{"type": "t"}}, "users": [1], "traceparent": "{SAMPLED}"}}'},
    ).status == 200  # fmt: skip
    assert server.stop() == 0
    assert [span.attributes["tidewire.event.type"] for span in collector.spans()] == ["deploy", "deploy", "t"]
    assert {span.service for span in collector.spans()} == {"tidewire"}


@pytest.mark.parametrize("hangs", [True, False])
def test_a_dead_collector_hurts_neither_delivery_nor_a_stop(
    start_server: StartServer, collector: Collector, *, hangs: bool
) -> None:
    collector.replies.clear()
    collector.script(*[Reply(hang=True) for _ in range(100)])
    url = collector.url if hangs else f"http://127.0.0.1:{free_port()}"
    server = start_server(f"tracing.endpoint={url}", "tracing.max_open_deliveries=100")
    queue_id = server.register("ada")
    publish(server, *[SAMPLED] * 200)
    assert len(server.events("ada", queue_id)) == 200
    watch = Stopwatch(server.pid)
    server.signal(signal.SIGTERM)
    assert server.seconds_to_end(watch) < STOP_WITHIN
    assert "traces are incomplete" in server.log
    assert "Traceback" not in server.log


def test_after_a_crash_what_was_open_is_gone_and_nothing_else(
    start_server: StartServer, collector: Collector
) -> None:
    server = start_server(f"tracing.endpoint={collector.url}")
    queue_id = server.register("ada")
    publish(server, SAMPLED)
    server.destroy()
    server.start()
    assert server.events("ada", queue_id)[0]["type"] == "deploy"
    server.events("ada", queue_id, 0)
    assert server.stop() == 0
    assert by_name(collector.spans(), "deliver") == []
