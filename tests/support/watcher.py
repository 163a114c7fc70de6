"""Somebody who watches everything that a shard is asked and answers, and can say what became of each event."""

import random
from dataclasses import dataclass, field
from typing import Any

from support.core_rig import KeepingSlot, Rig, spec
from support.events import Json, flags, notice
from tidewire.core.inspection.explain import Explanation
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.state.limits import Limits

USERS = (1, 2, 3, 4)
TYPES: tuple[tuple[str, ...] | None, ...] = (None, ("a",), ("b", "update_message_flags"), ("c",))


@dataclass
class Watched:
    """One queue.

    Attributes:
        began, ended: how many notices there had been.
        kinds, queued, sent, taken: by event id: its type, and when it was queued, last sent, acknowledged.
        into: by event id, what took its place, and when.
        numbers: of each change of flags, the message that it is about.
    """

    queue_id: str
    user: int
    realm: int
    types: tuple[str, ...] | None
    began: int
    ended: int | None = None
    reason: str | None = None
    ended_at: float | None = None
    kinds: dict[int, str] = field(default_factory=dict)
    queued: dict[int, float] = field(default_factory=dict)
    sent: dict[int, float] = field(default_factory=dict)
    taken: dict[int, float] = field(default_factory=dict)
    into: dict[int, tuple[int, float]] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    processed: int = -1

    def target(self, event_id: int) -> int:
        """Where the event is now."""
        return self.into.get(event_id, (event_id, 0.0))[0]


@dataclass
class Published:
    """One notice, and what it brought to queues: ids of events, or the rule that refused."""

    number: int
    at: float
    kind: str
    realm: int | None
    brought: dict[str, list[int] | str] = field(default_factory=dict)


class Watcher:
    """A shard and everything that is known of it."""

    def __init__(self, seed: int, **limits: int) -> None:
        self.random = random.Random(seed)
        self.rig = Rig(limits=Limits(max_per_user=0, **limits))
        self.queues: dict[str, Watched] = {}
        self.notices: dict[str, Published] = {}

    def live(self) -> list[Watched]:
        """Queues that there are."""
        return [queue for queue in self.queues.values() if queue.ended is None]

    def run(self, steps: int) -> None:
        """Does what comes to mind."""
        for _ in range(4):
            self.register()
        for _ in range(steps):
            doing = self.random.choices((self.register, self.publish, self.poll, self.delete), (2, 50, 40, 1))
            doing[0]()
            if self.random.random() < 0.5:
                self.pass_time(0.25)

    def pass_time(self, seconds: float) -> None:
        """Time passes, with a tick each second."""
        self.rig.clock.time += seconds
        if self.rig.clock.time.is_integer():
            self.rig.engine.tick()
            self.rig.soon.run()

    def register(self) -> None:
        """A client comes."""
        user, realm = self.random.choice(USERS), self.random.choice((1, 1, 2))
        types = self.random.choice(TYPES)
        queue_id = self.rig.register(spec(user, realm, types, idle=604_800))
        self.queues[queue_id] = Watched(queue_id, user, realm, types, len(self.notices))

    def publish(self) -> None:
        """The application says something."""
        number = len(self.notices)
        kind = self.random.choice(("a", "b", "c", "update_message_flags"))
        event: Json = {"type": kind}
        if kind == "update_message_flags":
            event = flags("add", self.random.choice(("read", "starred")), [number])
        users = self.random.sample(USERS, self.random.randint(0, 3))
        realm = self.random.choice((None, None, 1, 2))
        said = Published(number, self.rig.clock.time, kind, realm)
        body = notice(event, users, id=f"notice-{number}", **({} if realm is None else {"realm_id": realm}))
        self.rig.engine.publish(decode_notices(body), KeepingSlot[int]())
        self.notices[f"notice-{number}"] = said
        for queue in self.live():
            if queue.user not in users or realm not in {None, queue.realm}:
                continue
            if queue.types is not None and kind not in queue.types:
                said.brought[queue.queue_id] = "event_types"
                continue
            event_id = len(queue.kinds)
            said.brought[queue.queue_id] = [event_id]
            queue.kinds[event_id], queue.queued[event_id] = kind, self.rig.clock.time
            queue.numbers[event_id] = number

    def poll(self) -> None:
        """A client reads, and may not have got its last answer."""
        if not self.live():
            return
        queue, now = self.random.choice(self.live()), self.rig.clock.time
        answer = self.rig.poll(queue.queue_id, queue.processed, user=queue.user)
        for event_id in queue.kinds:
            if queue.target(event_id) <= queue.processed:
                queue.taken.setdefault(event_id, now)
        for event in answer.events:
            queue.sent[event["id"]] = now
            numbers = event.get("messages", [])
            for event_id, number in queue.numbers.items():
                if number in numbers and event_id != event["id"]:
                    queue.into.setdefault(event_id, (event["id"], now))
        if answer.ids and self.random.random() < 0.8:
            queue.processed = self.random.choice(answer.ids)

    def delete(self) -> None:
        """A client goes."""
        if len(self.live()) < 3:
            return
        queue = self.random.choice(self.live())
        self.rig.delete(queue.queue_id, user=queue.user)
        queue.ended, queue.reason, queue.ended_at = len(self.notices), "deleted", self.rig.clock.time

    # What it knows.

    def event(self, queue: Watched, event_id: int) -> dict[str, Any]:
        """The right answer about an event."""
        story: dict[str, Any] = {"queue_id": queue.queue_id, "user_id": queue.user, "event_id": event_id}
        story |= {"ended": queue.reason, "ended_at": queue.ended_at}
        if event_id not in queue.kinds:
            return story | {"state": "not_yet"}
        target = queue.target(event_id)
        return story | {
            "state": self._state(queue, event_id, target),
            "type": queue.kinds[event_id],
            "at": queue.queued[event_id],
            "sent_at": queue.sent.get(target),
            "acknowledged_at": queue.taken.get(event_id),
            "merged_into": target if target != event_id else None,
            "merged": tuple(other for other, (into, _) in queue.into.items() if into == event_id),
        }

    @staticmethod
    def _state(queue: Watched, event_id: int, target: int) -> str:
        if event_id in queue.taken:
            return "acknowledged"
        if queue.ended is not None:
            return "dropped"
        if target != event_id:
            return "merged"
        return "sent" if event_id in queue.sent else "waiting"

    def notice(self, queue: Watched, notice_id: str) -> list[dict[str, Any]]:
        """The right answer about a notice."""
        said = self.notices.get(notice_id)
        if said is None:
            return [{"state": "unknown"}]
        brought = said.brought.get(queue.queue_id)
        if isinstance(brought, list):
            return [self.event(queue, event_id) for event_id in brought]
        told = {"type": said.kind, "at": said.at}
        if isinstance(brought, str):
            return [{**told, "state": "refused", "rule": brought}]
        state = "not_addressed"
        if said.realm not in {None, queue.realm}:
            state = "other_realm"
        elif said.number < queue.began:
            state = "too_early"
        elif queue.ended is not None and said.number >= queue.ended:
            state = "too_late"
        return [{**told, "state": state}]


def told(story: Explanation, names: Any) -> dict[str, Any]:
    """What a story says of these things."""
    return {name: getattr(story, name) for name in names}
