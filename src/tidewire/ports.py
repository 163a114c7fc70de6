"""What the server asks of the outside, as Protocols; adapters satisfy them and never meet each other."""

from typing import Protocol, TypeVar

from tidewire.core.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.ids import UserId
from tidewire.core.records import Record
from tidewire.core.snapshot import Snapshot
from tidewire.core.users import User

A_contra = TypeVar("A_contra", contravariant=True)


class Slot(Protocol[A_contra]):
    """Whoever waits for one answer: a poll, or a publisher that wants to know its notices safe."""

    def complete(self, answer: A_contra) -> None:
        """Takes the answer; called exactly once.

        It must not wait, and must not call the engine.
        """
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


class Journal(Protocol):
    """Where records are kept, in the order in which they are appended (D4)."""

    @property
    def durable(self) -> int:
        """Position of the newest record that survives what was asked for; never falls.

        Positions count records: the first is 1, and `durable` is 0 before it.
        """
        ...

    def append(self, record: Record) -> int:
        """Takes a record, whole or not at all, and returns its position.

        Raises:
            Unavailable: it can't be written now; nothing was.
        """
        ...


class SnapshotStore(Protocol):
    """Keeps the newest snapshot of one shard."""

    def load(self) -> Snapshot | None:
        """The snapshot saved last, or None when there is none.

        Raises:
            StateError: what is there can't be read.
        """
        ...

    def retire(self) -> None:
        """Sets the loaded snapshot aside: `load` gives None until the next `save`.

        Without a journal, what a crash leaves would otherwise be queues that have moved on since (R10.7).

        Raises:
            StateError: it can't be moved.
        """
        ...

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot: afterwards `load` gives the new one, and if this fails, the old one.

        Raises:
            StateError: it can't be written.
        """
        ...


class Reporter(Protocol):
    """Is told of what went wrong without stopping anything, and of what a person may want to know."""

    def delivery_failed(self, failure: Failure) -> None:
        """A notice could not be delivered to one queue, or not at all; all others got it (D9)."""
        ...

    def answer_failed(self, error: Exception) -> None:
        """An answer could not be handed to its connection; its events stay in the queue (R2.15)."""
        ...

    def journal_failed(self, error: Unavailable) -> None:
        """The journal could not be written; what it was for is tried again or was refused."""
        ...

    def clock_skipped(self, seconds: float) -> None:
        """The process did not run for a while, and the shard's time left it out (D12)."""
        ...

    def collected(self, *, expired: int, queues: int) -> None:
        """The collector ended `expired` queues; `queues` are left (R11.10)."""
        ...


class Authenticator(Protocol):
    """Says who asks."""

    @property
    def generation(self) -> int:
        """Rises whenever an answer given before may no longer hold."""
        ...

    def authenticate(self, authorization: str | None, host: str | None) -> User:
        """Gives the user that a request on `/api` comes from (R6.2, R6.3).

        It does not wait for anything, for it stands on the path of every poll.

        Args:
            authorization: the `Authorization` header as it came; None when there was none.
            host: the `Host` header as it came, with or without a port; None when there was none.

        Raises:
            Unauthorized: no header, or one that can't be read.
            BadRequest: another scheme than Basic, a host of another realm, or an incoming-webhook bot.
            InvalidApiKey: the key is malformed, unknown, or not this email's.
            UserDeactivated: the account is switched off.
            RealmDeactivated: its organisation is switched off.
        """
        ...

    def user(self, user_id: UserId) -> User | None:
        """Gives a user by id, active or not; None when there is no such user."""
        ...
