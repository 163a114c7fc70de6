"""One event in one shape: encoded once, judged once per acceptance, shared by every queue that gets it (D1)."""

from collections.abc import Mapping

from tidewire.core.acceptance import Acceptance, Event
from tidewire.core.merge import MergeRule
from tidewire.core.narrow import Flags
from tidewire.core.wire import encode_body


class Representation:
    """A shaped event within one notice, with its memoised bytes and verdicts."""

    __slots__ = ("_verdicts", "body", "encoded", "event", "kind", "rule", "withheld")

    body: bytes
    """The shared bytes; encoded when the first queue needs them."""

    def __init__(self, event: Event, rules: Mapping[str, MergeRule], *, withheld: str | None = None) -> None:
        self.event = event
        self.kind: str = event["type"]
        self.rule = rules.get(self.kind)
        self.encoded = False
        """Whether any queue needed the bytes."""
        self.withheld = withheld
        """Why no queue in this shape gets the event, whatever it accepts; None for an event that is to be had."""
        self._verdicts: dict[tuple[Acceptance, Flags] | Acceptance, str | None] = {}

    def __getattr__(self, name: str) -> bytes:
        """Fills `body`: called when it is not there yet, so that every later reading is a plain one."""
        if name != "body":
            raise AttributeError(name)
        self.body = encode_body(self.event)
        self.encoded = True
        return self.body

    def refusal(self, acceptance: Acceptance, flags: tuple[str, ...] = ()) -> str | None:
        """`Acceptance.refusal`, asked once per distinct acceptance and flags, or else why it is withheld."""
        key = (acceptance, flags) if flags else acceptance
        try:
            return self._verdicts[key]
        except KeyError:
            verdict = self._verdicts[key] = acceptance.refusal(self.event, flags) or self.withheld
            return verdict
