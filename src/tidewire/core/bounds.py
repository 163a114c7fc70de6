"""Bounds: what ends so that the rest can go on (D8, D-13). Events are never dropped singly.

- A queue that has passed `max_events` or `max_bytes` ends (`overflow`).
- A user who has `max_per_user` queues loses the one that is idle for longest when another registers (`limit`).
- A shard that takes more memory than its budget gives up, in this order: what explains ended queues; the connections
  of peers that don't read their answers, whose queues stay; queues (`memory`): those first whose oldest event waits
  for longest, because nobody may ever come for it; those whose client waits for an answer last. When none is left
  that holds anything, registrations and publications are refused until there is room.
- Remembered ids, the outbox and tombstones each have a share of the budget, and lose their oldest when they pass it.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

from tidewire.core.descriptor import Descriptor
from tidewire.core.endings import decide_ends
from tidewire.core.errors import BadRequest, Unavailable
from tidewire.core.ids import UserId
from tidewire.core.memory import QUEUE, freed
from tidewire.core.records import Removed
from tidewire.core.state import State

W = TypeVar("W")

ROOM = 0.05
"""Share of the budget that is free after queues gave way, so that it is not done again with the next event."""

GIVE_WAY = ("explanations", "unread_answers")
"""What gives way before any queue, in this order."""

ENTRIES_AT_ONCE = 200_000
"""Entries that give way before other work gets a turn: some fifty milliseconds."""


def decide_overflow(state: State[W], now: float) -> list[Removed]:
    """The end of queues that have passed a bound of their own."""
    absent = state.moves.absent
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


def decide_pressure(state: State[W], now: float, left: dict[int, int] | None = None) -> list[Removed]:
    """The end of queues that give way; to be repeated until there is none, since much is done in parts.

    Args:
        state: whose queues they are.
        now: the time.
        left: how many entries bodies have, by their `id`, where that can't be told by who refers to them.
    """
    memory = state.memory
    if is_pressed(state):
        memory.sweep_all()
        state.count_tables()
    if is_pressed(state) and len(state.ended):
        state.forget_ended()
        state.count_tables()
    if not is_pressed(state):
        memory.exhausted = False
        return []
    target = state.limits.memory_budget * (1 - ROOM)
    ending = list(_giving_way(state, memory.used(len(state.directory)) - target, left or {}))
    memory.exhausted = not ending
    return decide_ends(state, ending, "memory", now)


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


def _giving_way(state: State[W], excess: float, left: dict[int, int]) -> Iterator[Descriptor[W]]:
    """As many queues, in their order, as take `excess` bytes, or a first few of them."""
    absent = state.moves.absent
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
        state.memory.promised += gone.later
        excess -= (QUEUE + gone.total) * state.memory.correction
        entries += len(queue)
        yield descriptor


def account(state: State[W], resident: int) -> None:
    """Brings the account of memory up to date, once a second; `resident` is what the process takes (0: unknown)."""
    memory = state.memory
    memory.connections = len(state.heartbeats)
    state.count_tables()
    memory.transit.fade()
    memory.sweep()
    memory.compare(resident, len(state.directory))
    memory.exhausted = memory.exhausted and is_pressed(state)
