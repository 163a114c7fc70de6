"""One event in one shape: encoded once, judged once per acceptance, shared by every queue that gets it (D1)."""

from collections.abc import Mapping

from tidewire.core.acceptance import Acceptance, Event
from tidewire.core.merge import MergeRule
from tidewire.core.narrow import Flags
from tidewire.core.wire import encode_body


class Representation:
    """A shaped event within one notice, with its memoised bytes and verdicts."""

    __slots__ = ("_body", "_verdicts", "event", "kind", "rule")

    def __init__(self, event: Event, rules: Mapping[str, MergeRule]) -> None:
        self.event = event
        self.kind: str = event["type"]
        self.rule = rules.get(self.kind)
        self._body: bytes | None = None
        self._verdicts: dict[tuple[Acceptance, Flags] | Acceptance, str | None] = {}

    @property
    def body(self) -> bytes:
        """The shared bytes; encoded when the first queue needs them."""
        if self._body is None:
            self._body = encode_body(self.event)
        return self._body

    @property
    def encoded(self) -> bool:
        """Whether any queue needed the bytes."""
        return self._body is not None

    def refusal(self, acceptance: Acceptance, flags: tuple[str, ...] = ()) -> str | None:
        """`Acceptance.refusal`, asked once per distinct acceptance and flags."""
        key = (acceptance, flags) if flags else acceptance
        verdicts = self._verdicts
        if key not in verdicts:
            verdicts[key] = acceptance.refusal(self.event, flags)
        return verdicts[key]
