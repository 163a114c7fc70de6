"""What the engine asks of its surroundings: the completion of requests, background work, the clock and the reporter."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.events.coalescing import RuleFailure

A_contra = TypeVar("A_contra", contravariant=True)


class Waiter(Protocol[A_contra]):
    """Whoever waits for one answer: a poll, or a publisher that wants to know its notices safe."""

    def complete(self, answer: A_contra) -> None:
        """Takes the answer; called exactly once.

        It must not wait, and must not call the engine.
        """
        ...


class BackgroundRunner(Protocol):
    """Does what would hold the loop."""

    def __call__(self, work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """Does `work` elsewhere; then calls `done` where this was called from, with what `work` raised."""
        ...


class Clock(Protocol):
    """The shard's time, in UNIX seconds (D12)."""

    @property
    def skipped(self) -> float:
        """Seconds left out so far, because the process was not running."""
        ...

    def now(self) -> float:
        """The time; never less than at the reading before."""
        ...

    def tick(self) -> float:
        """The time; called once a second, the clock may correct itself."""
        ...


class Origin(NamedTuple):
    """Under what a record was written.

    Attributes:
        fingerprint: of the rules (`core/persistence/fingerprint.py`); empty when nobody knows.
        settings: those that shape the state, encoded (`core/state/state_settings.py`); empty when nobody knows.
    """

    fingerprint: str
    settings: bytes = b""


class Collection(NamedTuple):
    """One run of the collector (R11.10).

    Attributes:
        expired: how many queues it ended.
        owners: of how many users they were.
        seconds: how long it took.
        queues: how many are left.
        waiting: on how many of these a poll waits.
    """

    expired: int
    owners: int
    seconds: float
    queues: int
    waiting: int


class Reporter(Protocol):
    """Is told of what went wrong without stopping anything, and of what a person may want to know."""

    def delivery_failed(self, failure: Failure) -> None:
        """A notice could not be delivered to one queue, or not at all; all others got it (D9)."""
        ...

    def rule_failed(self, failure: RuleFailure) -> None:
        """A merge rule of the application's failed; its events were delivered singly."""
        ...

    def answer_failed(self, error: Exception) -> None:
        """An answer could not be handed to its connection; its events stay in the queue (R2.15)."""
        ...

    def journal_failed(self, error: Unavailable) -> None:
        """The journal can't be written any more; what it was for is tried again or was refused."""
        ...

    def journal_works(self) -> None:
        """The journal can be written again."""
        ...

    def snapshot_kept(self, *, queues: int, size: int) -> None:
        """A snapshot of `size` bytes is in place; the shard has `queues` now."""
        ...

    def snapshot_failed(self, error: Exception) -> None:
        """A snapshot could not be written; the one before and the records since are still there."""
        ...

    def clock_skipped(self, seconds: float) -> None:
        """The process did not run for a while, and the shard's time left it out (D12)."""
        ...

    def notifications_lost(self, count: int) -> None:
        """The outbox had no room for `count` more notifications; the oldest had to give way."""
        ...

    def queues_gave_way(self, ended: Mapping[str, int]) -> None:
        """Queues ended because of a bound, so many for each reason of `overflow`, `limit` and `memory` (D8)."""
        ...

    def contradictory_notice(self, message_id: int) -> None:
        """A direct message came with users who want it as a channel's: a fault of its producer (R5.5)."""
        ...

    def collected(self, collection: Collection) -> None:
        """Called after each run of the collector."""
        ...
