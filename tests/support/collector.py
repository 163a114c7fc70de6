"""A collector on 127.0.0.1: takes OTLP over HTTP, and says what spans came."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from support.events import Json
from support.http_stub import Reply, StubServer


class CollectedSpan(NamedTuple):
    """A span as it arrived; ids in hexadecimal, times in nanoseconds."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began: int
    ended: int
    moments: dict[str, int]
    attributes: Json


class Collector(StubServer):
    """Takes a thousand requests."""

    def __init__(self) -> None:
        super().__init__()
        self.script(*[Reply(b"") for _ in range(1000)])

    def spans(self) -> list[CollectedSpan]:
        """All that came, in the order in which it did."""
        return [span for asked in self.asked_for("POST", "/v1/traces") for span in _spans(asked.body)]


def _spans(body: bytes) -> Iterator[CollectedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield CollectedSpan(
                    service,
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    {event.name: event.time_unix_nano for event in span.events},
                    _attributes(span.attributes),
                )


def _attributes(written: Iterable[KeyValue]) -> Json:
    return {each.key: _value(each.value) for each in written}


def _value(value: AnyValue) -> str | int | bool:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case other:
            raise AssertionError(other)
