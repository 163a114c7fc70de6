"""Reading a `traceparent`, held against OpenTelemetry's own reading."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from support.traces import SAMPLED, SPAN, TRACE, UNSAMPLED
from tidewire.tracing.traceparent import read_traceparent


def theirs(text: str) -> tuple[int, int, int] | None:
    context = TraceContextTextMapPropagator().extract({"traceparent": text}, Context())
    found = trace.get_current_span(context).get_span_context()
    return (found.trace_id, found.span_id, int(found.trace_flags)) if found.is_valid else None


def test_ids_and_the_sampled_flag_are_read() -> None:
    for text, sampled in ((SAMPLED, True), (UNSAMPLED, False), (f"00-{TRACE}-{SPAN}-03", True)):
        parent = read_traceparent(text)
        assert parent is not None
        assert (f"{parent.trace_id:032x}", f"{parent.span_id:016x}") == (TRACE, SPAN)
        assert parent.is_sampled is sampled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "another",
        SAMPLED.upper(),
        f" {SAMPLED}",
        f"{SAMPLED}\n",
        f"{SAMPLED}-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
    ],
)
def test_what_is_no_trace_context_is_none(text: str) -> None:
    assert read_traceparent(text) is None


def test_a_later_version_may_say_more() -> None:
    assert read_traceparent(f"cc-{TRACE}-{SPAN}-01-what-comes") == read_traceparent(SAMPLED)
    assert read_traceparent(f"cc-{TRACE}-{SPAN}-01.what-comes") is None


fields = st.tuples(
    st.sampled_from(["00", "01", "cc", "ff", "0"]),
    st.sampled_from([TRACE, "0" * 32, TRACE.upper(), TRACE[1:]]),
    st.sampled_from([SPAN, "0" * 16, f"{SPAN}0"]),
    st.sampled_from(["00", "01", "02", "ff", "0x"]),
    st.sampled_from(["", "-", "-x", "x"]),
)


@given(fields)
@example(("00", TRACE, SPAN, "01", ""))
def test_it_reads_as_opentelemetry_does(parts: tuple[str, str, str, str, str]) -> None:
    text = "-".join(parts[:4]) + parts[4]
    ours = read_traceparent(text)
    assert (None if ours is None else tuple(ours)) == theirs(text)
