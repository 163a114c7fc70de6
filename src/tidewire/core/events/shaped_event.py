"""One event in one shape: encoded once, judged once per acceptance, shared by every queue that gets it (D1)."""

from collections.abc import Mapping

from tidewire.core.events.acceptance import Acceptance, Event
from tidewire.core.events.coalescing import MergeRule
from tidewire.core.events.encoding import encode_body
from tidewire.core.events.narrow import Flags


class Representation:
    """A shaped event within one notice, with its memoised bytes and verdicts."""

    __slots__ = ("_verdicts", "body", "encoded", "event", "joins", "kind", "rule", "withheld")

    body: bytes
    """The shared bytes; encoded when the first queue needs them."""
    joins: str | None
    """The group that its rule has it join; asked when the first queue needs it. Raises what the rule raises."""

    def __init__(self, event: Event, rules: Mapping[str, MergeRule], *, withheld: str | None = None) -> None:
        self.event = event
        self.kind: str = event["type"]
        self.rule = rules.get(self.kind)
        self.encoded = False
        """Whether any queue needed the bytes."""
        self.withheld = withheld
        """Why no queue in this shape gets the event, whatever it accepts; None for an event that is to be had."""
        self._verdicts: dict[tuple[Acceptance, Flags] | Acceptance, str | None] = {}

    def __getattr__(self, name: str) -> bytes | str | None:
        """Fills `body` and `joins`: called when one is not there yet, so that later readings are plain ones."""
        if name == "body":
            self.body = encode_body(self.event)
            self.encoded = True
            return self.body
        if name == "joins":
            self.joins = self._ask_for_key()
            return self.joins
        raise AttributeError(name)

    def _ask_for_key(self) -> str | None:
        # An application's rule may give anything.
        key: object = None if self.rule is None else self.rule.key(self.event)
        if key is not None and not isinstance(key, str):
            raise TypeError(f"the key of a group must be a string or None, not {type(key).__name__}")
        return key

    def refusal(self, acceptance: Acceptance, flags: tuple[str, ...] = ()) -> str | None:
        """`Acceptance.refusal`, asked once per distinct acceptance and flags, or else why it is withheld."""
        key = (acceptance, flags) if flags else acceptance
        try:
            return self._verdicts[key]
        except KeyError:
            verdict = self._verdicts[key] = acceptance.refusal(self.event, flags) or self.withheld
            return verdict
