"""Moving users to another shard, and accepting them from one: the decisions, and what their records change.

`HandOver` is the part of a shard's interface that belongs to relocation.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.errors import BadRequest, ShardMapDiffers
from tidewire.core.events.coalescing import MERGE_RULES, describe_rules
from tidewire.core.history.history import StepKind
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.deduplication import RememberedId, UserNoticeLogImage
from tidewire.core.queues.ended import Tombstone
from tidewire.core.queues.image import Bodies, QueueImage, queue_image
from tidewire.core.records import (
    Adopted,
    Agreed,
    Arrived,
    Brought,
    Closed,
    Moved,
    Moving,
    Record,
    Remapped,
    Settled,
)
from tidewire.core.relocation.relocations import ArrivedUser, Key, Relocations, Table, UserLocation
from tidewire.core.state.restore import Skipped, make_queues
from tidewire.core.state.state import State

W = TypeVar("W")


FORM = 1
"""Of what shards send each other; one that is of another form is refused."""


CHUNK_EFFORT = 1000.0
"""Of one chunk (`core/queues/image.py`): some megabyte. A chunk doesn't end within a queue."""


IDS_AT_ONCE = 5000
"""Remembered ids of one chunk."""


class Chunk(Struct, frozen=True, omit_defaults=True):
    """A piece of what one shard sends another.

    Attributes:
        version: of the map under which the users move.
        source: the sender's index.
        arriving: the owners of the queues.
        users: those who have arrived whole with this chunk, with the tables that hold for them.
        table: the name of the table of ids, if it has a piece of one; the first has the number `first`.
    """

    form: int
    version: int
    source: int
    arriving: tuple[int, ...] = ()
    bodies: tuple[bytes, ...] = ()
    queues: tuple[QueueImage, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    revoked: tuple[int, ...] = ()
    rules: dict[str, str] = msgspec.field(default_factory=dict)
    users: tuple[tuple[int, tuple[Key, ...]], ...] = ()
    given: tuple[UserNoticeLogImage, ...] = ()
    table: str = ""
    first: int = 0
    ids: tuple[RememberedId, ...] = ()


_ENCODER = msgspec.msgpack.Encoder()


_DECODER = msgspec.msgpack.Decoder(Chunk)


def encode_chunk(chunk: Chunk) -> bytes:
    """The chunk as MessagePack."""
    return _ENCODER.encode(chunk)


def decode_chunk(data: bytes) -> Chunk:
    """The chunk that `encode_chunk` encoded.

    Raises:
        BadRequest: it is none.
        ShardMapDiffers: it is of another version's form.
    """
    try:
        chunk = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"This is nothing that a shard sends: {error}") from None
    if chunk.form != FORM:
        raise ShardMapDiffers(f"The form of what was sent is {chunk.form}, and this version knows {FORM}")
    return chunk


# The side that hands over.


def users_to_move(state: State[W]) -> list[UserId]:
    """Everybody of whom something is here that moves along."""
    relocations = state.relocations
    found = dict.fromkeys(state.directory.user_ids())
    found.update(dict.fromkeys(state.revoked))
    found.update(dict.fromkeys(state.tombstones.owners()))
    found.update(dict.fromkeys(relocations.newcomers))
    return [user_id for user_id in found if user_id not in relocations.absent]


def decide_moving(state: State[W], users: Sequence[UserId], to: int, now: float) -> Moving | None:
    """Users begin to move; None when all have begun, or are gone, already."""
    left = tuple(user_id for user_id in users if user_id not in state.relocations.absent)
    return Moving(now, to, left) if left else None


def chunks(state: State[W], users: Sequence[UserId]) -> Iterator[Chunk]:
    """Everything of users who are moving; with the last chunk they have arrived. Others may change in between."""
    relocations = state.relocations
    rules = describe_rules(state.rules)
    names = tuple(users)
    waiting = [descriptor for user_id in users for descriptor in state.directory.of_user(user_id)]
    waiting.reverse()
    while True:
        bodies = Bodies()
        images: list[QueueImage] = []
        while waiting and bodies.effort < CHUNK_EFFORT:
            descriptor = waiting.pop()
            if state.directory.get(descriptor.queue_id) is descriptor:
                images.append(queue_image(descriptor, bodies))
        chunk = Chunk(
            form=FORM,
            version=relocations.version,
            source=relocations.index,
            arriving=names,
            bodies=tuple(bodies.new),
            queues=tuple(images),
            rules=rules,
        )
        if waiting:
            yield chunk
            continue
        yield msgspec.structs.replace(
            chunk,
            tombstones=tuple(state.tombstones.of(set(names))),
            revoked=tuple(user_id for user_id in users if user_id in state.revoked),
            users=tuple((user_id, relocations.keys_of(user_id)) for user_id in users),
            given=tuple(relocations.given.of(users)),
        )
        return


def tables(state: State[W]) -> Iterator[Chunk]:
    """What this shard remembered when the hand-over began, and the tables that its newcomers brought."""
    relocations = state.relocations

    def chunk(table: str, first: int, ids: Sequence[RememberedId]) -> Chunk:
        return Chunk(
            form=FORM,
            version=relocations.version,
            source=relocations.index,
            table=table,
            first=first,
            ids=tuple(ids),
        )

    for piece in state.remembered.pieces():
        first, ids = state.remembered.look_up(piece)
        ids = ids[: max(0, relocations.mark - first)]
        if ids:
            yield chunk(relocations.name, first, ids)
    for name, table in list(relocations.tables.items()):
        numbered = table.ids()
        for start in range(0, len(numbered), IDS_AT_ONCE):
            part = numbered[start : start + IDS_AT_ONCE]
            # Numbers rise by one: ids leave a table at its front only.
            yield chunk(name, part[0][0], [one for _, one in part])


def decide_moved(state: State[W], users: Iterable[UserId], now: float) -> Moved | None:
    """The other shard has them; None when that was known."""
    absent = state.relocations.absent
    left = tuple(user for user in users if user in absent and absent[user].what == "moving")
    return Moved(now, left) if left else None


# The side that takes.


def decide_chunk(state: State[W], chunk: Chunk, now: float) -> list[Record]:
    """The records of what another shard sent; none of users whom this shard has already.

    Raises:
        ShardMapDiffers: this shard does not live under that map, or not yet.
    """
    relocations = state.relocations
    if chunk.version != relocations.version or not relocations.under_way:
        raise ShardMapDiffers(
            f"This shard lives under version {relocations.version} of the map, and the users move by {chunk.version}"
        )
    found: list[Record] = []
    if chunk.table:
        found.append(Brought(now, chunk.table, chunk.first, chunk.ids))
    known = relocations.adopted
    arriving = tuple(user for user in chunk.arriving if UserId(user) not in known)
    if arriving:
        wanted = set(arriving)
        found.append(
            Arrived(
                now,
                chunk.source,
                arriving,
                chunk.bodies,
                tuple(queue for queue in chunk.queues if queue.spec.user_id in wanted),
                tuple(one for one in chunk.tombstones if one[1] in wanted),
                tuple(user for user in chunk.revoked if user in wanted),
                chunk.rules,
            )
        )
    adopted = tuple(one for one in chunk.users if UserId(one[0]) not in known)
    if adopted:
        names = {user for user, _ in adopted}
        given = (
            (notice_id, digest, taken, tuple(user for user in users if user in names))
            for notice_id, digest, taken, users in chunk.given
        )
        found.append(Adopted(now, adopted, tuple(given)))
    return found


def decide_settled(state: State[W], shard: int, now: float) -> Settled | None:
    """Another shard is done; None when that was known."""
    return Settled(now, shard) if shard in state.relocations.awaited else None


def decide_revoked(
    state: State[W], users: Iterable[UserId], rights: Callable[[UserId], bytes]
) -> list[UserId]:
    """Those of the users whose rights are not what their queues rest on: they changed on the way."""
    return [
        user_id
        for user_id in users
        if any(
            descriptor.spec.rights and descriptor.spec.rights != rights(user_id)
            for descriptor in state.directory.of_user(user_id)
        )
    ]


# Applying.


def apply_relocation(state: State[W], record: Record) -> list[Skipped]:
    """Carries out a record of a hand-over; returns the queues that could not be made again."""
    relocations = state.relocations
    match record:
        case Remapped():
            relocations.begin(
                version=record.version,
                before=record.before,
                after=record.after,
                index=record.index,
                others=record.others,
                mark=state.remembered.next,
            )
        case Agreed():
            relocations.agreed = True
        case Moving():
            for user in record.users:
                relocations.absent[UserId(user)] = UserLocation("moving", record.to)
                if any(map(state.directory.is_hearing, state.directory.of_user(UserId(user)))):
                    relocations.hearing[UserId(user)] = None
        case Moved():
            for user in record.users:
                _let_go(state, UserId(user))
            state.statistics.moved_away += len(record.users)
        case Closed():
            relocations.close(state.remembered.next)
        case _:
            return _apply_taking(state, record)
    return []


def _apply_taking(state: State[W], record: Record) -> list[Skipped]:
    relocations = state.relocations
    match record:
        case Arrived():
            return _take_in(state, record)
        case Brought():
            relocations.tables.setdefault(record.table, Table()).add(record.first, record.ids)
        case Adopted():
            for user, keys in record.users:
                relocations.absent.pop(UserId(user), None)
                relocations.adopted[UserId(user)] = None
                relocations.newcomers[UserId(user)] = ArrivedUser(keys)
            for notice_id, digest, taken, users in record.given:
                relocations.given.add(notice_id, digest, taken, map(UserId, users))
            state.statistics.moved_here += len(record.users)
        case Settled():
            relocations.settle(record.shard, state.remembered.next)
    return []


def _let_go(state: State[W], user_id: UserId) -> None:
    relocations = state.relocations
    for descriptor in list(state.directory.of_user(user_id)):
        state.release_queue(descriptor)
    state.revoked.pop(user_id, None)
    relocations.newcomers.pop(user_id, None)
    relocations.given.drop(user_id)
    relocations.fresh.pop(user_id, None)
    absence = relocations.absent.get(user_id)
    if absence is not None:
        relocations.absent[user_id] = absence._replace(what="moved")


def _take_in(state: State[W], record: Arrived) -> list[Skipped]:
    for user in record.users:
        state.relocations.absent[UserId(user)] = UserLocation("arriving", record.source)
    for image in record.queues:
        known = state.directory.get(image.queue_id)
        if known is not None and known.spec.user_id == image.spec.user_id:
            # Of an earlier try that broke off.
            state.release_queue(known)
    for body in record.bodies:
        state.memory.enter(body)
    ours = describe_rules(state.rules)
    rules = {
        kind: rule
        for kind, rule in state.rules.items()
        if kind in MERGE_RULES or record.rules.get(kind) == ours[kind]
    }
    skipped = make_queues(state, record.queues, record.bodies, rules)
    for image in record.queues:
        descriptor = state.directory.get(image.queue_id)
        if descriptor is None:
            state.tombstones.add(QueueId(image.queue_id), image.spec.user_id, "upgraded", record.now)
            continue
        # What it gave out, nobody here knows (rule 5 of `core/queues/event_queue.py`).
        descriptor.queue.resumed = True
        state.histories.note(descriptor.history, StepKind.IMPORTED, record.now)
        state.note_if_over(descriptor)
    for queue_id, user_id, reason, at in record.tombstones:
        state.tombstones.add(QueueId(queue_id), UserId(user_id), reason, at)
    state.revoked.update((UserId(user), None) for user in record.revoked)
    return skipped


class Relocation(Generic[W]):
    """One shard's side of it."""

    __slots__ = ("_state",)

    def __init__(self, state: State[W]) -> None:
        self._state = state

    @property
    def relocations(self) -> Relocations:
        """To look at, not to change."""
        return self._state.relocations

    def decide_map(
        self, *, version: int, before: bytes, after: bytes, index: int, others: Sequence[int], now: float
    ) -> Remapped:
        """The shard lives under another map; see `Remapped`."""
        return Remapped(now, version, before, after, index, tuple(others))

    def decide_agreed(self, *, now: float) -> Agreed | None:
        """All other shards know of the hand-over; None when that was known."""
        return Agreed(now) if self.relocations.under_way and not self.relocations.agreed else None

    def users_to_move(self) -> list[UserId]:
        """The users with any state here whom the new map gives to another shard."""
        return users_to_move(self._state)

    def queues_of(self, user_id: UserId) -> list[QueueId]:
        """The ids of a user's queues."""
        return [descriptor.queue_id for descriptor in self._state.directory.of_user(user_id)]

    def size_of(self, user_id: UserId) -> int:
        """Bytes of a user's queues."""
        return sum(descriptor.queue.size for descriptor in self._state.directory.of_user(user_id))

    def totals(self) -> tuple[int, int, int, int]:
        """Users with a queue, queues, and how many users have moved away and here."""
        directory, counted = self._state.directory, self._state.statistics
        return directory.users(), len(directory), counted.moved_away, counted.moved_here

    def realm_of(self, user_id: UserId) -> int | None:
        """The realm that a user's queues say; None without one."""
        return next((queue.spec.realm_id for queue in self._state.directory.of_user(user_id)), None)

    def decide_moving(self, users: Sequence[UserId], to: int, *, now: float) -> Moving | None:
        """Returns the record that begins to move users to the shard `to`; None if all of them are moving or gone already."""
        return decide_moving(self._state, users, to, now)

    def chunks(self, users: Sequence[UserId]) -> Iterator[Chunk]:
        """Everything of users who are moving, in chunks; with the last of them the users have arrived."""
        return chunks(self._state, users)

    def tables(self) -> Iterator[Chunk]:
        """The notice ids that this shard remembered when the relocation began, in chunks."""
        return tables(self._state)

    def decide_moved(self, users: Iterable[UserId], *, now: float) -> Moved | None:
        """Returns the record that the other shard has the users; None if that was known."""
        return decide_moved(self._state, users, now)

    def decide_close(self, *, now: float) -> Closed:
        """Nobody who has to move is left."""
        return Closed(now)

    def drain_changed_users(self) -> list[UserId]:
        """Users who may have got something since the hand-over began, or since this was asked last."""
        fresh = list(self.relocations.fresh)
        self.relocations.fresh.clear()
        return fresh

    def decide_chunk(self, chunk: Chunk, *, now: float) -> list[Record]:
        """Returns the records that take a chunk in. Raises `ShardMapDiffers` under another shard map."""
        return decide_chunk(self._state, chunk, now)

    def decide_settled(self, shard: int, *, now: float) -> Settled | None:
        """Returns the record that another shard has sent everything; None if that was known."""
        return decide_settled(self._state, shard, now)

    def whose_rights_changed(
        self, users: Iterable[UserId], rights: Callable[[UserId], bytes]
    ) -> list[UserId]:
        """Of the users who arrived, those whose rights changed on the way."""
        return decide_revoked(self._state, users, rights)
