"""An engine whose notices are traced: spans begin when they come, and end when they are confirmed or refused."""

from collections.abc import Sequence
from typing import Any

from tidewire.core.errors import InternalError, WireError
from tidewire.core.notices.notice import Notice
from tidewire.core.shard import Shard
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.ports.engine import Clock, Waiter
from tidewire.tracing.traced_shard import TracedShard
from tidewire.tracing.traces import Publishing, Traces


class _Confirming:
    """The slot of a publisher; ends the spans when it is told that its notices are safe."""

    def __init__(self, waiter: Waiter[int], begun: list[Publishing], traces: Traces, clock: Clock) -> None:
        self._waiter = waiter
        self._begun = begun
        self._traces = traces
        self._clock = clock

    def complete(self, answer: int) -> None:
        """Tells the publisher first."""
        try:
            self._waiter.complete(answer)
        finally:
            self._traces.settle(self._begun, self._clock.now())


class TracedEngine(Engine):
    """An engine that makes spans of publishing and delivery; its shard is a `TracedShard`."""

    def __init__(self, *, shard: TracedShard[PollWaiter], clock: Clock, **rest: Any) -> None:
        super().__init__(shard=shard, clock=clock, **rest)
        self._traces = shard.traces

    def publish(self, notices: Sequence[Notice], waiter: Waiter[int]) -> None:
        """Publishes notices, with a span for each that carries a trace context."""
        carrying = [notice for notice in notices if notice.traceparent]
        begun = self._traces.begin(carrying, self._clock.now()) if carrying else []
        if not begun:
            super().publish(notices, waiter)
            return
        traces = self._traces
        traces.publishing = {publishing.notice: publishing for publishing in begun}
        try:
            super().publish(notices, _Confirming(waiter, begun, traces, self._clock))
        except Exception as error:
            code = error.code if isinstance(error, WireError) else InternalError.code
            traces.settle(begun, self._clock.now(), error=code)
            raise
        finally:
            traces.publishing = {}

    def tick(self) -> None:
        """Does the work of each second, and ends spans that have been open for too long."""
        super().tick()
        self._traces.tell(self._clock.now())


def kind_for(shard: Shard[PollWaiter]) -> type[Engine]:
    """The kind of engine that a shard needs."""
    return TracedEngine if isinstance(shard, TracedShard) else Engine
