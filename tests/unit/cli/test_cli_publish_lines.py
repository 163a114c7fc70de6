"""Lines in batches: numbers, limits, and no waiting for lines that don't come."""

import io
import os
from collections.abc import Iterator

import pytest

from support.fake_time import FakeTime
from tidewire.cli.publish import DescriptorSource, Limits, Line, batches, source_of

LIMITS = Limits(lines=3, size=100, delay=0.05)


class ScriptedSource:
    """Gives chunks by a script; None stands for a wait that ended with nothing."""

    def __init__(self, fake_time: FakeTime, *chunks: bytes | None) -> None:
        self._fake_time = fake_time
        self._chunks = iter(chunks)
        self.waits: list[float | None] = []

    def read(self, wait: float | None) -> bytes | None:
        """Returns the next chunk."""
        self.waits.append(wait)
        chunk = next(self._chunks, b"")
        if chunk is None:
            self._fake_time.now += wait or 0
        return chunk


def texts(found: Iterator[list[Line]]) -> list[list[bytes]]:
    """Leaves the numbers out."""
    return [[line.text for line in batch] for batch in found]


def test_lines_are_numbered_and_blank_ones_only_count() -> None:
    stream = io.BytesIO(b"\n  \r\n{a}\r\n\n{b}")
    assert list(batches(source_of(stream), LIMITS)) == [[Line(3, b"{a}"), Line(5, b"{b}")]]


def test_nothing_at_all_is_no_batch() -> None:
    assert list(batches(source_of(io.BytesIO(b"\n\n")), LIMITS)) == []


def test_a_batch_ends_at_so_many_lines() -> None:
    assert texts(batches(source_of(io.BytesIO(b"a\nb\nc\nd\n")), LIMITS)) == [[b"a", b"b", b"c"], [b"d"]]


def test_a_batch_ends_before_so_many_bytes_and_a_larger_line_stands_alone() -> None:
    a, b, c = b"a" * 60, b"b" * 60, b"c" * 200
    stream = io.BytesIO(b"\n".join([a, b, c, b"d"]))
    assert texts(batches(source_of(stream), LIMITS)) == [[a], [b], [c], [b"d"]]


def test_a_line_may_come_in_many_pieces(fake_time: FakeTime) -> None:
    source = ScriptedSource(fake_time, b"a", b"b", b"c\nd", b"", b"never read")
    assert texts(batches(source, LIMITS, clock=lambda: fake_time.now)) == [[b"abc", b"d"]]


def test_a_batch_goes_on_when_no_line_comes_within_the_delay(fake_time: FakeTime) -> None:
    """So that `tail -f file | tidewire publish` confirms promptly."""
    source = ScriptedSource(fake_time, b"a\n", None, b"b\n", None)
    found = batches(source, LIMITS, clock=lambda: fake_time.now)
    assert [line.text for line in next(found)] == [b"a"]
    assert source.waits == [None, pytest.approx(0.05)]
    assert [line.text for line in next(found)] == [b"b"]


def test_a_steady_trickle_does_not_hold_a_batch_back(fake_time: FakeTime) -> None:
    source = ScriptedSource(fake_time, b"a\n", b"b\n")
    clock = iter([0.0, 0.0, 0.01, 0.02, 0.06, 0.07, 0.07])
    assert [line.text for line in next(batches(source, LIMITS, clock=lambda: next(clock)))] == [b"a", b"b"]


def test_a_pipe_says_that_nothing_is_there_yet() -> None:
    reading, writing = os.pipe()
    try:
        source = DescriptorSource(reading)
        assert source.read(0.0) is None
        os.write(writing, b"x\n")
        assert source.read(None) == b"x\n"
        os.close(writing)
        assert source.read(None) == b""
    finally:
        os.close(reading)
