"""Whatever happens to queues, each traced delivery ends once, as it ended in truth, and nothing is left of it."""

import random

import pytest

from support.core_rig import KeepingSlot, Poll, spec
from support.events import flags, notice
from support.traces import SAMPLED, KeptSpan, TracedRig
from tidewire.core.ids import QueueId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.state.limits import Limits

USERS = range(1, 6)
MOST = 8


class World:
    """A shard in which things happen by chance, and what is known of its queues."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rig = TracedRig(per_notice=4, most_open=MOST, limits=Limits(max_events=12, max_per_user=3))
        self.acknowledged: dict[QueueId, int] = {}
        self.owners: dict[QueueId, int] = {}
        self.polls: dict[QueueId, list[Poll]] = {}

    def run(self, steps: int) -> None:
        """Does so many things, and looks after each."""
        for _ in range(steps):
            self.chance.choice((self.register, self.publish, self.publish, self.poll, self.poll, self.end))()
            if self.chance.random() < 0.1:
                self.rig.clock.time += self.chance.choice((1, 700))
                self.rig.engine.tick()
                self.rig.engine.collect()
            self.check()

    def live(self) -> QueueId | None:
        """One of the queues that are there."""
        there = self.rig.engine.shard.queue_ids()
        return self.chance.choice(there) if there else None

    def register(self) -> None:
        """A queue more."""
        user = self.chance.choice(USERS)
        self.owners[self.rig.register(spec(user))] = user

    def publish(self) -> None:
        """A batch of notices, some of them traced; some end a queue."""
        body = []
        for _ in range(self.chance.randrange(1, 4)):
            users = self.chance.sample(USERS, self.chance.randrange(1, 5))
            event = self.chance.choice(({"type": "deploy"}, flags("add", "read", [self.chance.randrange(9)])))
            queue_id = self.live()
            if queue_id is not None and self.chance.random() < 0.1:
                event, users = {"type": "cleanup_queue", "queue_id": queue_id}, [self.owners[queue_id]]
            traced = self.chance.random() < 0.6
            body.append(notice(event, users, **({"traceparent": SAMPLED} if traced else {})))
        self.rig.engine.publish(decode_notices(b"\n".join(body)), KeepingSlot[int]())

    def poll(self) -> None:
        """A poll that acknowledges some of what the client was given, and may wait."""
        queue_id = self.live()
        if queue_id is None:
            return
        acknowledged = self.acknowledged.get(queue_id, -1)
        polls = self.polls.setdefault(queue_id, [])
        given = {event_id for poll in polls if poll.answered for event_id in poll.ids}
        last = self.chance.choice([acknowledged, *(each for each in sorted(given) if each > acknowledged)])
        block = self.chance.random() < 0.5
        polls.append(self.rig.poll(queue_id, last, user=self.owners[queue_id], block=block))
        self.acknowledged[queue_id] = last

    def end(self) -> None:
        """Now and then a queue is deleted."""
        queue_id = self.live()
        if queue_id is not None and self.chance.random() < 0.2:
            self.rig.delete(queue_id, user=self.owners[queue_id])

    def check(self) -> None:
        """What is open is in a queue and not acknowledged; nothing is open twice or too much."""
        traces = self.rig.traces
        assert len(traces) == sum(map(len, traces.queues.values())) <= MOST
        for queue_id, deliveries in traces.queues.items():
            descriptor = self.rig.engine.shard.find(queue_id)
            assert descriptor is not None
            assert deliveries
            assert list(deliveries) == sorted(deliveries)
            assert self.acknowledged.get(QueueId(queue_id), -1) < min(deliveries)
            assert max(deliveries) < descriptor.queue.next_event_id

    def ended(self) -> list[tuple[KeptSpan, KeptSpan]]:
        """The deliveries that ended, with their notices."""
        return [(span, child) for span in self.rig.tracer.spans for child in span.children]


@pytest.mark.parametrize("seed", range(8))
def test_each_traced_delivery_ends_once_and_as_it_did(seed: int) -> None:
    world = World(seed)
    world.run(400)
    spans = world.rig.tracer.spans
    begun = sum(
        int(span.attributes["tidewire.deliveries"]) - int(span.attributes["tidewire.deliveries.untraced"])
        for span in spans
    )
    ended = world.ended()
    assert begun == len(ended) + len(world.rig.traces)
    places = [
        (child.attributes["tidewire.queue.id"], child.attributes["tidewire.event.id"]) for _, child in ended
    ]
    assert len(places) == len(set(places))
    for span, child in ended:
        assert span.ended is not None
        assert child.ended is not None
        assert span.began <= child.began <= child.ended
        if child.attributes["tidewire.outcome"] == "acknowledged":
            queue_id = QueueId(str(child.attributes["tidewire.queue.id"]))
            assert int(child.attributes["tidewire.event.id"]) <= world.acknowledged[queue_id]
            assert int(child.attributes["tidewire.sends"]) >= 1
    outcomes = {child.attributes["tidewire.outcome"] for _, child in ended}
    assert outcomes >= {"acknowledged", "queue_ended"}
    for queue_id in world.rig.engine.shard.queue_ids():
        world.rig.delete(queue_id, user=world.owners[queue_id])
    assert len(world.rig.traces) == 0
    assert not world.rig.traces.queues


def test_by_chance_deliveries_end_in_each_way() -> None:
    outcomes: set[object] = set()
    for seed in range(8):
        world = World(seed)
        world.run(400)
        outcomes.update(child.attributes["tidewire.outcome"] for _, child in world.ended())
    assert outcomes == {"acknowledged", "queue_ended", "gave_way"}
