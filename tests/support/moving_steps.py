"""What may happen to users who move between shards, step by step, and what their clients must get."""

import itertools
from collections.abc import Iterator

import tidewire.core.transitions.relocate
from support.core_rig import Poll
from support.core_states import check_indexes
from support.moving_world import USERS, World, audience, number_of, plain_notice, public_notice
from tidewire.core.errors import UserMoving
from tidewire.core.ids import QueueId
from tidewire.core.notices.notice import decode_notice


class Client:
    """One queue's client."""

    def __init__(self, user: int, queue_id: QueueId) -> None:
        self.user = user
        self.queue_id = queue_id
        self.last = -1
        self.got: list[int] = []
        self.expected: list[int] = []
        self.waiting: Poll | None = None

    def take(self, poll: Poll) -> None:
        """Processes an answer."""
        for event in poll.events:
            self.last = event["id"]
            if event["type"] in {"x", "message"}:
                self.got.append(number_of(event))


class MovingSteps:
    """Shards, a publisher that sends one notice at a time until it is confirmed, and a client for each queue."""

    usual_effort = tidewire.core.transitions.relocate.CHUNK_EFFORT

    def start(self, count: int, lags: bool, effort: float) -> None:
        """A few shards, a queue for each user."""
        tidewire.core.transitions.relocate.CHUNK_EFFORT = effort
        self.world = World(count, lags=lags)
        self.clients: list[Client] = []
        self.number = 0
        self.pending: bytes | None = None
        self.old: list[bytes] = []
        for node in self.world.nodes:
            node.sync()
        for user in USERS:
            self.register(user, 0)

    def via(self, choice: int) -> int:
        """One of the shards."""
        return choice % len(self.world.nodes)

    # Traffic.

    def register(self, user: int, choice: int) -> None:
        """A client registers."""
        made = self.world.register(user, self.via(choice))
        if made is not None:
            self.clients.append(Client(user, made[1]))

    def publish(self, users: list[int], public: bool, choice: int, fates: list[bool]) -> None:
        """A new notice."""
        self.number += 1
        raw = (public_notice if public else plain_notice)(self.number, users)
        self.pending = raw
        named = audience(decode_notice(raw))
        for client in self.clients:
            if client.user in named:
                client.expected.append(self.number)
        self.retry(choice, fates)

    def retry(self, choice: int, fates: list[bool]) -> None:
        """The publisher tries what is not confirmed, by any shard."""
        assert self.pending is not None
        works: Iterator[bool] = itertools.chain(fates, itertools.repeat(True))
        if self.world.publish(self.pending, self.via(choice), works):
            self.old.append(self.pending)
            self.pending = None

    def repeat(self, pick: int, choice: int) -> None:
        """One that was confirmed is sent once more."""
        raw = self.old[-1 - pick % min(5, len(self.old))]
        self.world.publish(raw, self.via(choice), itertools.repeat(True))

    def poll(self, pick: int, choice: int, block: bool, lost: bool) -> None:
        """A client polls, perhaps by another shard than before; its answer may get lost."""
        client = self.clients[pick % len(self.clients)]
        self.hear(client, lost=lost)
        try:
            slot = self.world.poll(client.user, self.via(choice), client.queue_id, client.last, block=block)
        except UserMoving:
            return
        client.waiting = slot
        self.hear(client, lost=not lost)

    def hear(self, client: Client, *, lost: bool) -> None:
        """The client looks whether its poll was answered."""
        if client.waiting is not None and client.waiting.answered:
            if not lost:
                client.take(client.waiting)
            client.waiting = None

    # Moving.

    def draw_map(self, count: int) -> None:
        """Another map."""
        self.world.draw_map(count)

    def tell(self, choice: int) -> None:
        """A shard is told."""
        node = self.world.nodes[self.via(choice)]
        if node.moves.version < self.world.map.version or node.peers.unsure:
            self.world.tell(node)

    def tell_all_and_agree(self) -> None:
        """All are told, and agree."""
        for choice in range(4):
            self.tell(choice)
        for node in self.world.nodes:
            node.sync()
        for node in self.world.nodes:
            self.world.agree(node)

    def agree(self, choice: int) -> None:
        """A shard asks whether all know."""
        self.world.agree(self.world.nodes[self.via(choice)])

    def begin(self, choice: int, to: int, most: int) -> None:
        """Users begin to move."""
        if to < len(self.world.nodes):
            self.world.begin(self.world.nodes[self.via(choice)], to, most)

    def send(self, choice: int, to: int, lost_after: int | None, answered: bool) -> None:
        """They are sent, and may have to be sent again."""
        if to < len(self.world.nodes):
            node = self.world.nodes[self.via(choice)]
            self.world.send(node, to, lost_after=lost_after, answered=answered)

    def move_all(self, choice: int) -> None:
        """All of a shard's movers, without any fault."""
        node = self.world.nodes[self.via(choice)]
        for to in range(len(self.world.nodes)):
            self.world.begin(node, to, 100)
            node.sync()
            self.world.send(node, to, lost_after=None, answered=True)

    def close(self, choice: int) -> None:
        """A shard is done."""
        self.world.close(self.world.nodes[self.via(choice)])

    def settle(self, choice: int, other: int) -> None:
        """A shard asks another."""
        node = self.world.nodes[self.via(choice)]
        if other in node.moves.awaited:
            self.world.settle(node, other)

    # Faults, and time.

    def crash(self, choice: int) -> None:
        """A shard is killed, and comes back."""
        self.world.nodes[self.via(choice)].crash()

    def sync(self, choice: int) -> None:
        """A journal has come as far as it was written."""
        self.world.nodes[self.via(choice)].sync()

    def keep(self, choice: int) -> None:
        """A snapshot, all of it or a first part."""
        rig = self.world.nodes[self.via(choice)].rig
        rig.engine.begin_snapshot()
        rig.soon.run()

    def tick(self, choice: int) -> None:
        """A second."""
        self.world.nodes[self.via(choice)].rig.wait(1)

    # What must hold.

    def nobody_is_two_shards_(self) -> None:
        """At most one shard takes itself for a user's."""
        for user in USERS:
            assert len(self.world.owners(user)) <= 1, user

    def clients_got_what_was_for_them(self) -> None:
        """So far, each once and in order."""
        for client in self.clients:
            assert client.got == client.expected[: len(client.got)], (client.user, client.queue_id)

    def teardown(self) -> None:
        """At the end everybody has everything."""
        tidewire.core.transitions.relocate.CHUNK_EFFORT = self.usual_effort
        if not hasattr(self, "world"):
            return
        self.world.finish()
        for _ in range(20):
            if self.pending is None:
                break
            self.retry(0, [])
            for node in self.world.nodes:
                node.sync()
        assert self.pending is None
        for client in self.clients:
            self._read_all(client)
            assert client.got == client.expected, (client.user, client.queue_id, client.got, client.expected)
        for user in USERS:
            assert len(self.world.owners(user)) == 1
        for node in self.world.nodes:
            check_indexes(node.rig.engine.shard._state)
            homes = {
                node.peers.shard_of(user, None) for user in node.rig.engine.shard._state.directory.user_ids()
            }
            assert homes <= {node.index}

    def _read_all(self, client: Client) -> None:
        for _ in range(3):
            poll = self.world.poll(client.user, 0, client.queue_id, client.last, block=False)
            assert poll is not None
            for node in self.world.nodes:
                node.sync()
            client.take(poll)
