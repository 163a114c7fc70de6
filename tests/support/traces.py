"""A tracer that keeps what it is told, and an engine that is traced by it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from support.core_rig import Rig
from tidewire.core.state.limits import Limits
from tidewire.tracing.spans import Attributes, Moment
from tidewire.tracing.traced_shard import TracedShard
from tidewire.tracing.traceparent import Parent
from tidewire.tracing.traces import Losses, Traces

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


@dataclass
class KeptSpan:
    """A span; `children` are those that are over."""

    name: str
    began: float
    parent: Parent | None = None
    ended: float | None = None
    attributes: Attributes = field(default_factory=dict)
    moments: Sequence[Moment] = ()
    error: str = ""
    children: list["KeptSpan"] = field(default_factory=list)

    def end(self, at: float, attributes: Attributes, *, error: str = "") -> None:
        """Keeps it."""
        assert self.ended is None
        self.ended, self.attributes, self.error = at, attributes, error

    def add(
        self, name: str, *, began: float, ended: float, moments: Sequence[Moment], attributes: Attributes
    ) -> None:
        """Keeps it."""
        child = KeptSpan(name, began, ended=ended, attributes=attributes, moments=moments)
        self.children.append(child)

    def outcomes(self) -> list[object]:
        """How its deliveries ended, in the order in which they did."""
        return [child.attributes["tidewire.outcome"] for child in self.children]


class KeepingTracer:
    """Keeps spans; `records` says whether it wants any."""

    def __init__(self) -> None:
        self.records = True
        self.spans: list[KeptSpan] = []
        self.is_closed = False

    def begin(self, name: str, parent: Parent, *, at: float) -> KeptSpan | None:
        """Keeps it."""
        if not self.records:
            return None
        self.spans.append(KeptSpan(name, at, parent))
        return self.spans[-1]

    def close(self) -> None:
        """Keeps that."""
        self.is_closed = True


class TracedRig(Rig):
    """An engine that is traced."""

    def __init__(self, *, per_notice: int = 20, most_open: int = 1000, limits: Limits | None = None) -> None:
        self.tracer = KeepingTracer()
        self.losses: list[Losses] = []
        self.traces = Traces(
            self.tracer, per_notice=per_notice, most_open=most_open, on_losses=self.losses.append
        )
        limits = limits or Limits()
        super().__init__(limits=limits, shard=TracedShard(self.traces, limits=limits))

    @property
    def span(self) -> KeptSpan:
        """The only span of a notice."""
        (span,) = self.tracer.spans
        return span

    def span_outcomes(self) -> list[list[object]]:
        """How the deliveries of each notice ended."""
        return [span.outcomes() for span in self.tracer.spans]
