"""A listing of queues: the first of them in an order, found out in slices, since there may be very many.

The queues are those that were there when it began, each as it is when its turn comes.
"""

from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from itertools import islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from msgspec import Struct

from tidewire.core.ids import RealmId, UserId
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.state.state import State

W = TypeVar("W")


class QueueFilter(NamedTuple):
    """Which queues are asked for, and in which order; None: it doesn't matter.

    Attributes:
        skip: so many of the first are left out.
        search: a part of the queue's id or of its client's name, or its user's whole id.
    """

    sort: str = "oldest"
    ascending: bool = False
    limit: int = 100
    skip: int = 0
    search: str | None = None
    user_id: UserId | None = None
    realm_id: RealmId | None = None
    client: str | None = None
    waiting: bool | None = None
    offline: bool | None = None


class QueueRow(Struct, frozen=True, kw_only=True):
    """A queue in a table; times in UNIX seconds.

    Attributes:
        size: bytes of its events as they would be sent.
        oldest: when the oldest event that it holds came, or somewhat before; None when it holds none.
        waiting: a poll waits on it.
    """

    queue_id: str
    user_id: int
    realm_id: int
    client: str
    events: int
    size: int
    oldest: float | None
    last_active: float
    waiting: bool
    offline: bool


Key: TypeAlias = Callable[[Descriptor[Any]], Any]


def _age(descriptor: Descriptor[Any]) -> float:
    """The larger, the longer its oldest event waits; queues that hold none come last."""
    return -descriptor.queue.since if descriptor.queue else float("-inf")


SORTS: Mapping[str, Key] = MappingProxyType(
    {
        "oldest": _age,
        "events": lambda descriptor: len(descriptor.queue),
        "size": lambda descriptor: descriptor.queue.size,
        "last_active": lambda descriptor: descriptor.last_active,
        "user_id": lambda descriptor: descriptor.spec.user_id,
        "queue_id": lambda descriptor: descriptor.queue_id,
    }
)
"""What queues can be sorted by; `oldest` puts those first whose oldest event waits for longest."""

_KEY: Callable[[tuple[Any, Descriptor[Any]]], Any] = itemgetter(0)


class QueueList(Generic[W]):
    """One look for the first queues.

    Attributes:
        found: how many there are of the kind, whatever the limit.
        done: whether all were looked at.
    """

    __slots__ = ("_first", "_most", "_queues", "_state", "_wanted", "done", "found")

    def __init__(self, state: State[W], wanted: QueueFilter) -> None:
        directory = state.directory
        self._state = state
        self._wanted = wanted
        self._queues = iter(list(directory if wanted.user_id is None else directory.of_user(wanted.user_id)))
        self._most = wanted.skip + wanted.limit
        self._first: list[tuple[Any, Descriptor[W]]] = []
        self.found = 0
        self.done = False

    def step(self, most: int) -> None:
        """Looks at up to `most` queues."""
        taken = list(islice(self._queues, most))
        self.done = len(taken) < most
        fitting = list(self._fitting(taken))
        self.found += len(fitting)
        key, descending = SORTS[self._wanted.sort], not self._wanted.ascending
        keyed = [(key(descriptor), descriptor) for descriptor in fitting]
        if len(self._first) == self._most and self._most:
            # What comes behind all of the first can't be among them; of many queues that is nearly every one.
            last = self._first[-1][0]
            keyed = [item for item in keyed if (item[0] > last if descending else item[0] < last)]
        keyed.sort(key=_KEY, reverse=descending)
        self._first = list(islice(merge(self._first, keyed, key=_KEY, reverse=descending), self._most))

    def rows(self) -> list[QueueRow]:
        """The first queues, without those that ended meanwhile."""
        known = self._state.directory.get
        return [
            queue_row(descriptor)
            for _, descriptor in self._first[self._wanted.skip :]
            if known(descriptor.queue_id) is descriptor
        ]

    def _fitting(self, taken: list[Descriptor[W]]) -> Iterator[Descriptor[W]]:
        wanted = self._wanted
        client = None if wanted.client is None else wanted.client.lower()
        search = None if wanted.search is None else wanted.search.lower()
        for descriptor in taken:
            spec = descriptor.spec
            if (
                (wanted.realm_id is None or spec.realm_id == wanted.realm_id)
                and (client is None or client in spec.client_type_name.lower())
                and (wanted.waiting is None or (descriptor.waiter is not None) is wanted.waiting)
                and (wanted.offline is None or descriptor.offline is wanted.offline)
                and (search is None or _is_meant(descriptor, search))
            ):
                yield descriptor


def _is_meant(descriptor: Descriptor[Any], search: str) -> bool:
    spec = descriptor.spec
    return (
        search in descriptor.queue_id.lower()
        or search in spec.client_type_name.lower()
        or search == str(spec.user_id)
    )


def queue_row(descriptor: Descriptor[W]) -> QueueRow:
    """A queue as a row of the table."""
    queue, spec = descriptor.queue, descriptor.spec
    return QueueRow(
        queue_id=descriptor.queue_id,
        user_id=spec.user_id,
        realm_id=spec.realm_id,
        client=spec.client_type_name,
        events=len(queue),
        size=queue.size,
        oldest=queue.since if queue else None,
        last_active=descriptor.last_active,
        waiting=descriptor.waiter is not None,
        offline=descriptor.offline,
    )
