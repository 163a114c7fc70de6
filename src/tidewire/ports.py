"""What the server asks of the outside, as Protocols; adapters satisfy them and never meet each other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from tidewire.core.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.ids import RealmId, UserId
from tidewire.core.merge import RuleFailure
from tidewire.core.records import Record
from tidewire.core.users import Realm, User

A_contra = TypeVar("A_contra", contravariant=True)


class Slot(Protocol[A_contra]):
    """Whoever waits for one answer: a poll, or a publisher that wants to know its notices safe."""

    def complete(self, answer: A_contra) -> None:
        """Takes the answer; called exactly once.

        It must not wait, and must not call the engine.
        """
        ...


class Aside(Protocol):
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

    @property
    def tail_bytes(self) -> int:
        """What recovery would have to apply: bytes appended since the newest snapshot's position.

        So the journal's share of the disk, and of the time to start; when to take the next snapshot.
        """
        ...

    def begin_snapshot(self) -> "SnapshotDraft":
        """Begins a snapshot at the position reached now; what is appended from here on stays when it commits.

        Raises:
            Unavailable: it can't be written now, or another draft is still open.
        """
        ...


class SnapshotDraft(Protocol):
    """A snapshot that is being written, while records go on being appended.

    What a frame holds is the writer's own affair: a frame may show the state at `position` or any later one.
    One thread at a time uses a draft, and it need not be the one that appends: `commit` waits for the disk.
    """

    @property
    def position(self) -> int:
        """The newest record that every frame must show; recovery applies those after it."""
        ...

    def write(self, frame: bytes) -> None:
        """Adds a frame, which must not be empty.

        Raises:
            Unavailable: it can't be written; the draft is gone.
        """
        ...

    def commit(self) -> None:
        """Makes it the newest snapshot, and removes what it replaces: older snapshots, records before it.

        It waits until the draft is on the disk, and with it every record that a frame can show. A frame that is
        ahead of the records would let recovery skip new records under the positions of lost ones.

        Raises:
            Unavailable: it can't be written; the draft is gone, and recovery is as good as before.
        """
        ...

    def abandon(self) -> None:
        """Removes it; nothing happens when it was committed or is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something on the disk that could not be used.

    Attributes:
        what: a sentence for a person.
        file: the file's name in the state directory; empty when it is missing.
        kept_as: under which name it is kept for inspection; None when nothing could be kept.
        records: how many records are known to be lost; those of a torn tail can't be counted.
        bytes: how much of the file was not used.
    """

    what: str
    file: str
    kept_as: str | None
    records: int
    bytes: int


class Origin(NamedTuple):
    """Under what a record was written.

    Attributes:
        fingerprint: of the rules (`core/fingerprint.py`); empty when nobody knows.
        settings: those that shape the state, encoded (`core/shaping.py`); empty when nobody knows.
    """

    fingerprint: str
    settings: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What an earlier process left; `frames` and `records` read as they go, once, before `StateStore.journal`.

    Attributes:
        position: of the snapshot; 0 without one.
        through: up to where a frame may show the state. Recovery fell short of it if `reached` is less.
        reached: the newest record that is there; `position` when there is none after it.
        existed: the newest record that is known to have been there.
        frames: of the snapshot, as they were written; without those that are damaged, but always with the first.
        records: those after `position`, with their positions; those that are left out are lost. Reading one that
            another version wrote raises StateError.
        origins: the first position of each stretch of records, and under what it was written.
        is_whole: no frame of the snapshot is damaged.
        damage: what could not be used.
    """

    position: int
    through: int
    reached: int
    existed: int
    frames: Iterator[bytes]
    records: Iterator[tuple[int, Record]]
    origins: tuple[tuple[int, Origin], ...]
    is_whole: bool = True
    damage: tuple[Damage, ...] = ()


class StateStore(Protocol):
    """Keeps one shard's state over a stop: opened once at the start, with `recover`, then `journal`."""

    def recover(self) -> Recovery:
        """What an earlier process left, checked; damage is in the answer.

        Raises:
            StateError: a newer version wrote it, or it can't be read, or only a part that makes no whole is left.
        """
        ...

    def journal(
        self,
        *,
        origin: Origin,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> Journal:
        """The journal that goes on after what was recovered.

        A disk that is full is no reason to fail here: `append` raises until there is room.

        Args:
            origin: under what its records are decided, for the next start (D4).
            on_durable: called when `durable` has moved by itself. From another thread: hand it to the loop.
            on_failed: called, once, when what was written can't be made durable. What the disk holds is unknown
                from then on, and the process must end. From another thread too.

        Raises:
            StateError: the directory can't be used.
        """
        ...

    def close(self) -> None:
        """Makes durable what is not yet, and lets go of the place; the journal is not used afterwards."""
        ...


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
        """The collector ran."""
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

    def rights(self, user_id: UserId) -> bytes:
        """Gives a digest of what the user's right to a queue rests on: role, realm, key, whether active.

        It is kept with the queue, over restarts too, and the queue ends when it has become another. Empty when
        there is no such user.
        """
        ...

    def realm(self, realm_id: RealmId) -> Realm | None:
        """Gives a realm by id, active or not; None when there is no such realm."""
        ...
