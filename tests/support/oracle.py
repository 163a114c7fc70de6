"""What publishers were promised and what clients and workers were told: the judge of the fault harness.

Whoever drives a server tells the oracle of each notice when it is first sent and when it is confirmed, and of
each answer that a client or worker took. It knows nothing of the server. What it finds wrong it counts by kind,
with one sentence for each.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from support.events import Json

Fault: TypeAlias = Literal["lost", "duplicate", "order", "changed", "re-registration", "refused", "unasked"]
"""What can go wrong: an item that never came; one that came again after its acknowledgement, or under another id;
one that overtook an earlier one; an id with another content than before; a queue that was gone; a request that was
refused though it was right; an item that nobody published for this user."""

FAULTS: tuple[Fault, ...] = ("lost", "duplicate", "order", "changed", "re-registration", "refused", "unasked")

FLAGS = "update_message_flags"

STRIDE = 1_000_000
"""Between the message ids of two publishers."""

NEVER = 1 << 62

Stream: TypeAlias = tuple[int, str]
"""Items whose order counts: those of one publisher, and apart from them its changes of one flag, which may be joined
and so come later than younger items of other types."""


@dataclass
class Sent:
    """A notice, with the moments of its life, counted by the oracle."""

    notice_id: str
    body: Json
    users: frozenset[int]
    stream: Stream
    numbers: tuple[int, ...]
    notifies: bool
    sent_at: int = NEVER
    confirmed_at: int = NEVER


@dataclass
class Oracle:
    """See the module."""

    moment: int = 0
    sent: list[Sent] = field(default_factory=list)
    counts: Counter[Fault] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)
    polls: int = 0
    events: int = 0

    def now(self) -> int:
        """The next moment; later than all before."""
        self.moment += 1
        return self.moment

    def sends(self, notice: Sent) -> None:
        """A publisher sends a notice, for the first time or again."""
        if notice.sent_at == NEVER:
            notice.sent_at = self.now()
            self.sent.append(notice)

    def confirms(self, notice: Sent) -> None:
        """A publisher was told that a notice is safe."""
        notice.confirmed_at = self.now()

    def fault(self, kind: Fault, sentence: str) -> None:
        """Counts something that must not be."""
        self.counts[kind] += 1
        if len(self.sentences) < 50:
            self.sentences.append(f"{kind}: {sentence}")

    @property
    def confirmed(self) -> int:
        """How many notices were confirmed."""
        return sum(notice.confirmed_at != NEVER for notice in self.sent)


class QueueHistory:
    """What one queue's client was told. It registers, is answered, acknowledges what it likes, and is checked.

    The client goes by the newest answer that it took, and by nothing older. When it acknowledges less than it was
    told, it is like one that lost what it had not finished with: that may come again, a change of flags also under
    another id, joined with others. What was acknowledged must not.
    """

    def __init__(self, oracle: Oracle, name: str, user: int) -> None:
        self.name = name
        self.user = user
        self.acknowledged = -1
        self.asked_at = oracle.now()
        self.made_at = NEVER
        self._oracle = oracle
        self._newest: list[int] = []
        """Ids in the newest answer."""
        self._told: dict[int, Json] = {}
        """Events that were not acknowledged yet, as they were first told."""
        self._got: dict[Stream, list[int]] = defaultdict(list)
        """Items that were told and acknowledged."""

    def made(self) -> None:
        """The registration was answered."""
        self.made_at = self._oracle.now()

    @property
    def handled(self) -> int:
        """The newest id that the client can acknowledge."""
        return self._newest[-1] if self._newest else self.acknowledged

    def choices(self) -> Sequence[int]:
        """All ids that it can: what it acknowledged last, and those that it was told of since."""
        return [self.acknowledged, *self._newest]

    def acknowledges(self, event_id: int) -> None:
        """The client sends a poll with this id."""
        self.acknowledged = event_id
        self._newest.clear()
        for told in sorted(told for told in self._told if told <= event_id):
            for stream, number in items_of(self._told.pop(told)):
                self._got[stream].append(number)

    def answered(self, events: Iterable[Json], *, acknowledged: int) -> None:
        """The client took an answer to a poll that had acknowledged this id."""
        self._oracle.polls += 1
        last = acknowledged
        newest = {stream: got[-1] for stream, got in self._got.items()}
        taken: list[int] = []
        for event in events:
            self._oracle.events += 1
            event_id = event["id"]
            if event_id <= last:
                self._fault("order", f"id {event_id} after {last}")
            last = event_id
            if event_id <= self.acknowledged:
                continue  # a later poll's answer was faster, and this one says nothing new
            taken.append(event_id)
            self._check_told(event)
            self._check_items(event, newest)
        if taken:
            self._newest = taken
            self._forget_joined(taken)

    def _check_told(self, event: Json) -> None:
        told = self._told.get(event["id"], event)
        self._told[event["id"]] = event
        if told != event and not _has_joined_more(event, told):
            self._fault("changed", f"{event} was {told}")

    def _forget_joined(self, taken: Sequence[int]) -> None:
        """What was told before and is not in the newest answer, as far as this goes, is now part of another event."""
        for told in sorted(set(self._told) - set(taken)):
            if told < taken[-1] and self._told.pop(told)["type"] != FLAGS:
                self._fault("lost", f"id {told} was told, and is not in the answer up to {taken[-1]}")

    def _check_items(self, event: Json, newest: dict[Stream, int]) -> None:
        for stream, number in items_of(event):
            if number <= newest.get(stream, -1):
                again = number in self._got[stream]
                self._fault("duplicate" if again else "order", f"{stream} {number} behind {newest[stream]}")
            newest[stream] = number

    def check_complete(self) -> None:
        """Once everything was read and acknowledged: all that was confirmed is there, nothing that was never sent."""
        wanted: dict[Stream, set[int]] = defaultdict(set)
        possible: dict[Stream, set[int]] = defaultdict(set)
        for notice in self._oracle.sent:
            if self.user not in notice.users or notice.confirmed_at < self.asked_at:
                continue
            possible[notice.stream].update(notice.numbers)
            if notice.confirmed_at != NEVER and notice.sent_at > self.made_at:
                wanted[notice.stream].update(notice.numbers)
        for stream in {*wanted, *self._got}:
            got = set(self._got[stream])
            for number in sorted(wanted[stream] - got):
                self._fault("lost", f"{stream} {number}")
            for number in sorted(got - possible[stream]):
                self._fault("unasked", f"{stream} {number}")

    def _fault(self, kind: Fault, what: str) -> None:
        self._oracle.fault(kind, f"queue {self.name} of user {self.user}: {what}")


class OutboxHistory:
    """What one worker was told; it reads, and acknowledges now and then."""

    def __init__(self, oracle: Oracle, queue: str) -> None:
        self.queue = queue
        self.position = 0
        self._oracle = oracle
        self._got: Counter[tuple[int, int]] = Counter()
        self._ids: set[str] = set()
        self._shown: dict[int, Json] = {}

    def answered(self, records: Iterable[Mapping[str, Any]]) -> None:
        """The worker took an answer; each record has `position`, `id` and `record`."""
        for found in records:
            position, record = found["position"], found["record"]
            if position <= self.position:
                if self._shown.get(position) != found:
                    self._oracle.fault("changed", f"{self.queue} {position} was {self._shown.get(position)}")
                continue
            if position != self.position + 1:
                self._oracle.fault("lost", f"{self.queue}: {position} came behind {self.position}")
            self.position = position
            self._shown[position] = dict(found)
            if found["id"] in self._ids:
                self._oracle.fault("duplicate", f"{self.queue}: the id {found['id']}")
            self._ids.add(found["id"])
            self._got[record["user_profile_id"], record["message_id"]] += 1

    def check_complete(self) -> None:
        """Once everything was read: each confirmed message notified each of its readers once."""
        wanted: set[tuple[int, int]] = set()
        possible: set[tuple[int, int]] = set()
        for notice in self._oracle.sent:
            if not notice.notifies:
                continue
            pairs = {(user, number) for user in notice.users for number in notice.numbers}
            possible |= pairs
            wanted |= pairs if notice.confirmed_at != NEVER else set()
        for pair in wanted - set(self._got):
            self._oracle.fault("lost", f"{self.queue}: {pair}")
        for pair, times in self._got.items():
            if pair not in possible:
                self._oracle.fault("unasked", f"{self.queue}: {pair}")
            if times > 1:
                self._oracle.fault("duplicate", f"{self.queue}: {pair} {times} times")


def _has_joined_more(event: Json, told: Json) -> bool:
    """Whether a change of flags is one that was told before, joined with others by a recovery."""
    return event["type"] == told["type"] == FLAGS and set(told["messages"]) < set(event["messages"])


def items_of(event: Json) -> list[tuple[Stream, int]]:
    """What an event tells, in terms of what was published; nothing for the server's own.

    A change of flags may be joined from those of several publishers.
    """
    match event["type"]:
        case "harness":
            return [((event["publisher"], ""), event["number"])]
        case "message":
            number = event["message"]["id"]
            return [((number // STRIDE, ""), number)]
        case _ if event["type"] == FLAGS:
            return [((number // STRIDE, event["flag"]), number) for number in event["messages"]]
    return []
