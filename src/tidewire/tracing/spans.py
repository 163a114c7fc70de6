"""What tracing asks of the outside, as Protocols."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from tidewire.tracing.traceparent import Parent

Attributes: TypeAlias = Mapping[str, str | int | bool]
"""What a span says beside its times."""

Moment: TypeAlias = tuple[str, float]
"""Something within a span: its name, and when it was."""


class Span(Protocol):
    """One stretch of a trace that goes on. All times are UNIX seconds."""

    def end(self, at: float, attributes: Attributes, *, error: str = "") -> None:
        """It is over; called once. With `error`, the code of it, it failed."""
        ...

    def add(
        self, name: str, *, began: float, ended: float, moments: Sequence[Moment], attributes: Attributes
    ) -> None:
        """Adds a child that is over; also when the span itself ended long ago."""
        ...


class Tracer(Protocol):
    """Makes spans and hands them on by itself; it neither waits nor raises."""

    def begin(self, name: str, parent: Parent, *, at: float) -> Span | None:
        """Begins a span below one of another process; None when it is not to be recorded."""
        ...

    def close(self) -> None:
        """Hands on what is left, in a second or not at all; nothing is begun afterwards."""
        ...
