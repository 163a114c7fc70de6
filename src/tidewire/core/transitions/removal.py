"""Deciding that queues end: on request, because their owner's rights changed, or because a limit was passed.

A limit ends whole queues. Events are never dropped singly.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from tidewire.core.errors import BadRequest, Unavailable
from tidewire.core.ids import QueueId, UserId
from tidewire.core.memory import QUEUE, freed
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.records import NOTIFYING, Reason, Removed
from tidewire.core.state.state import State
from tidewire.core.transitions import notify

W = TypeVar("W")


class GivingWay(NamedTuple):
    """Which queues give way to come back within the memory budget, as far as one turn goes.

    Attributes:
        ends: the records that end them; none when there is room enough, or when nothing is left that could give way.
        held: bytes of their events that a snapshot on its way keeps until it is taken.
    """

    ends: list[Removed]
    held: int = 0


def decide_ends(
    state: State[W], ending: Sequence[Descriptor[W]], reason: Reason, now: float
) -> list[Removed]:
    """The end of queues that end together.

    Whom that concerns is judged over all of them, and stands in the first record (D-5).
    """
    notified = notify.notified_by_leaving(state, ending) if NOTIFYING[reason] else ()
    return [
        Removed(now, descriptor.queue_id, reason, () if place else notified)
        for place, descriptor in enumerate(ending)
    ]


def decide_delete(state: State[W], queue_id: str, user_id: UserId, now: float) -> Removed:
    """The end of a queue that its owner asked for.

    Raises:
        UserMoving: the user is just moving to another shard.
        BadEventQueueId: the user has no such queue.
    """
    state.relocations.check_here(user_id)
    (record,) = decide_ends(state, [state.owned(queue_id, user_id)], "deleted", now)
    return record


def decide_revoke(
    state: State[W], user_ids: Iterable[UserId], queue_ids: Iterable[QueueId], now: float
) -> list[Removed]:
    """The end of every queue of these users, whose rights are no longer what the queues rest on, and of these (D11)."""
    ending = {found.queue_id: found for user_id in user_ids for found in state.directory.of_user(user_id)}
    named = (state.directory.get(queue_id) for queue_id in queue_ids)
    ending |= {found.queue_id: found for found in named if found is not None}
    return decide_ends(state, list(ending.values()), "revoked", now)


def decide_changed(state: State[W], rights: Callable[[UserId], bytes], now: float) -> list[Removed]:
    """The end of every queue whose owner's rights are no longer those that it was made with.

    Of a queue that was made for somebody unknown nothing can be said, so it stays.
    """
    ending = [
        descriptor
        for descriptor in state.directory
        if descriptor.spec.rights and descriptor.spec.rights != rights(descriptor.spec.user_id)
    ]
    return decide_ends(state, ending, "revoked", now)


def decide_upgrade(state: State[W], queue_ids: Iterable[QueueId], now: float) -> list[Removed]:
    """The end of queues that records of other rules may have changed (D4)."""
    return decide_ends(state, _present(state, queue_ids), "upgraded", now)


def decide_damaged(state: State[W], queue_ids: Iterable[QueueId], now: float) -> list[Removed]:
    """The end of queues of which something could not be read from the disk (D4)."""
    return decide_ends(state, _present(state, queue_ids), "damaged", now)


def _present(state: State[W], queue_ids: Iterable[QueueId]) -> list[Descriptor[W]]:
    found = (state.directory.get(queue_id) for queue_id in queue_ids)
    return [descriptor for descriptor in found if descriptor is not None]


ROOM = 0.05
"""Share of the budget that is free after queues gave way, so that it is not done again with the next event."""


GIVE_WAY = ("explanations", "unread_answers")
"""What gives way before any queue, in this order."""


NONE_KNOWN: Mapping[int, int] = MappingProxyType({})
"""How many entries bodies have, where who refers to them tells it."""


ENTRIES_AT_ONCE = 200_000
"""Entries that give way before other work gets a turn: some fifty milliseconds."""


def decide_overflow(state: State[W], now: float) -> list[Removed]:
    """The end of queues that have passed a bound of their own."""
    absent = state.relocations.absent
    return decide_ends(
        state, [queue for queue in state.over if queue.spec.user_id not in absent], "overflow", now
    )


def decide_room_for(state: State[W], user_id: UserId, now: float) -> list[Removed]:
    """The end of queues that make room for one more of the user.

    Raises:
        BadRequest: a poll waits on each of those that would have to end (R6.56).
    """
    most = state.limits.max_per_user
    queues = state.directory.of_user(user_id)
    surplus = len(queues) + 1 - most
    if not most or surplus <= 0:
        return []
    idle = sorted(
        (queue for queue in queues if queue.waiter is None), key=lambda descriptor: descriptor.last_active
    )
    if len(idle) < surplus:
        state.statistics.turned_away["register"] += 1
        raise BadRequest("Could not allocate event queue", reason="limit")
    return decide_ends(state, idle[:surplus], "limit", now)


def is_pressed(state: State[W]) -> bool:
    """Whether the queues take more memory than they may."""
    budget = state.limits.memory_budget
    return bool(budget) and state.memory.used(len(state.directory)) > budget


def check_memory(state: State[W], what: str) -> None:
    """Refuses what needs memory when there is none.

    Raises:
        Unavailable: the budget is used up; `what` is counted.
    """
    if state.memory.exhausted:
        state.statistics.turned_away[what] += 1
        raise Unavailable("The memory budget of the server is used up")


def free_memory(state: State[W]) -> None:
    """Gives up what is worth less than any queue, while the budget is passed; before `decide_pressure`."""
    if is_pressed(state):
        state.memory.sweep_all()
        state.count_tables()
    if is_pressed(state) and len(state.ended):
        state.forget_ended()
        state.count_tables()


def decide_pressure(state: State[W], now: float, left: Mapping[int, int] = NONE_KNOWN) -> GivingWay:
    """The end of queues that give way; to be repeated until there is none, since much is done in parts.

    Args:
        state: whose queues they are; `free_memory` has given up what it can.
        now: the time.
        left: how many entries bodies have, by their `id`, where that can't be told by who refers to them.
    """
    if not is_pressed(state):
        return GivingWay([])
    memory = state.memory
    excess = memory.used(len(state.directory)) - state.limits.memory_budget * (1 - ROOM)
    giving = list(_giving_way(state, excess, dict(left)))
    ending = [descriptor for descriptor, _ in giving]
    return GivingWay(decide_ends(state, ending, "memory", now), sum(held for _, held in giving))


def note_giving_way(state: State[W], giving: GivingWay) -> None:
    """Enters a decision of `decide_pressure` in the account of memory, before it is carried out."""
    state.memory.promised += giving.held
    state.memory.exhausted = not giving.ends and is_pressed(state)


def take_unread(state: State[W]) -> list[Any]:
    """The peers whose unread answers have to give way: their connections are to be dropped, and their queues stay.

    Nobody is told by that but the peer itself, which did not listen anyway.
    """
    memory = state.memory
    transit = memory.transit
    peers = transit.surplus()
    if len(transit) and is_pressed(state):
        excess = memory.used(len(state.directory)) - state.limits.memory_budget * (1 - ROOM)
        peers += transit.drop(excess / memory.correction)
    state.statistics.gave_way["unread_answers"] += len(peers)
    return peers


def _giving_way(state: State[W], excess: float, left: dict[int, int]) -> Iterator[tuple[Descriptor[W], int]]:
    """As many queues, in their order, as take `excess` bytes, or a first few of them; each with what a snapshot holds."""
    absent = state.relocations.absent
    holding = [queue for queue in state.directory if queue.queue and queue.spec.user_id not in absent]
    holding.sort(key=lambda descriptor: (descriptor.waiter is not None, descriptor.queue.since))
    entries = 0
    numbered = state.memory.all_numbered() if state.memory.numbered else ()
    for descriptor in holding:
        if excess <= 0 or entries > ENTRIES_AT_ONCE:
            return
        queue = descriptor.queue
        waiting = chain.from_iterable(group.contributors for group in queue.groups())
        gone = freed((entry[1] for entry in chain(queue.entries, waiting)), left, numbered)
        excess -= (QUEUE + gone.total) * state.memory.correction
        entries += len(queue)
        yield descriptor, gone.later


def account(state: State[W], resident: int) -> None:
    """Brings the account of memory up to date, once a second; `resident` is what the process takes (0: unknown)."""
    memory = state.memory
    memory.connections = len(state.heartbeats)
    state.count_tables()
    memory.transit.fade()
    memory.sweep()
    memory.compare(resident, len(state.directory))
    memory.exhausted = memory.exhausted and is_pressed(state)
