"""Several shards with real engines, and between them a channel that loses requests and answers; all of it step by step."""

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

from support.core_rig import KeepingSlot, Poll, Rig, spec
from support.events import Json
from support.whole_messages import message_event
from tidewire.cluster.peers import MOST_HOPS, Peers
from tidewire.cluster.relocation import RelocationCoordinator
from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.transitions.relocate import decode_chunk, encode_chunk
from tidewire.core.users import Realm, User
from tidewire.http.fanout import NoticeFanOut
from tidewire.observability.log import build_log
from tidewire.sharding.shard_map import ShardMap, even_map

USERS = range(1, 13)
LISTENERS = frozenset({3, 8})
"""Users who hear public messages that don't name them."""

FAILED = "failed"


class Nobody:
    """A directory that knows no user and no realm: all realms have the same shards."""

    def user(self, user_id: UserId) -> User | None:
        """Nobody."""
        del user_id
        return None

    def realm(self, realm_id: RealmId) -> Realm | None:
        """None."""
        del realm_id
        return None


class Node:
    """One shard."""

    def __init__(self, index: int, first: ShardMap, *, lags: bool) -> None:
        self.index = index
        self.rig = Rig()
        self.rig.journal.lags = lags
        numbers = itertools.count()
        self.rig._new_queue_id = lambda: f"q-{index}-{next(numbers)}"  # type: ignore[method-assign]
        self.rig._go_on(self.rig.engine.shard)
        self._first = first
        self._live()

    def _live(self) -> None:
        relocation_steps = self.rig.engine.relocation_steps
        self.peers = Peers(
            self._first,
            index=self.index,
            mode="proxy",
            directory=Nobody(),
            secret="",
            log=build_log(form="json", level="error", stream=io.StringIO()),
            relocations=relocation_steps.relocations,
        )
        self.relocation = RelocationCoordinator(
            relocation_steps, self.peers, log=self.peers._log, timer=lambda: self.rig.clock.time
        )
        assert self.relocation.adopt_initial_map(self._first) is None or relocation_steps.relocations.version

    @property
    def moves(self) -> Any:
        """What it knows of users on their way."""
        return self.rig.engine.relocation_steps.relocations

    def sync(self) -> None:
        """Makes all records durable."""
        self.rig.journal.sync()
        self.rig.engine.durable_moved()

    def is_durable(self) -> bool:
        """Whether all that it could tell is."""
        slot: KeepingSlot[None] = KeepingSlot()
        self.rig.engine.relocation_steps.answer_when_durable(slot)
        return slot.answered

    def crash(self) -> None:
        """Ends it with all that is not durable, and starts it again."""
        self.rig.journal.lose_tail()
        self.rig.recover()
        self._live()

    def look_whether_over(self) -> None:
        """What its task would see."""
        if not self.moves.under_way:
            self.relocation._end()


class World:
    """Shards, the maps they live under, and one publisher."""

    def __init__(self, count: int, *, lags: bool = False) -> None:
        self.lags = lags
        self.map = even_map(range(1, count + 1))
        self.before = self.map
        self.nodes = [Node(index, self.map, lags=lags) for index in range(count)]

    # Maps.

    def is_settled(self) -> bool:
        """Whether no hand-over is under way anywhere, and all live under the newest map."""
        return all(
            not node.moves.under_way
            and node.moves.version == self.map.version
            and not node.peers.unsure
            and node.is_durable()
            for node in self.nodes
        )

    def draw_map(self, count: int) -> None:
        """The next map; nobody has been told of it."""
        self.before, self.map = self.map, even_map(range(1, count + 1), version=self.map.version + 1)
        while len(self.nodes) < count:
            self.nodes.append(Node(len(self.nodes), self.map, lags=self.lags))
            self.nodes[-1].sync()

    def tell(self, node: Node) -> None:
        """One shard is told of the newest map."""
        assert node.relocation.take_map(self.map, self.before) is None

    def agree(self, node: Node) -> None:
        """A shard asks all others whether they know."""
        moves = node.moves
        others = [self.nodes[shard] for shard in node.peers.others()]
        if moves.under_way and all(
            other.moves.version >= moves.version and not other.peers.unsure and other.is_durable()
            for other in others
        ):
            node.rig.engine.relocation_steps.agree()
            node.peers.agreed()

    # Moving.

    def leaving(self, node: Node, to: int | None = None) -> list[UserId]:
        """Who has to move from a shard, and has not begun to."""
        homes = {
            user: node.peers.old_and_new_shard(user, None)
            for user in node.rig.engine.relocation_steps.users_to_move()
        }
        return [
            user
            for user, (before, after) in homes.items()
            if before == node.index != after and to in {None, after}
        ]

    def begin(self, node: Node, to: int, most: int) -> None:
        """Has users begin to move; they stay where they are until that is durable."""
        moves = node.moves
        if not moves.agreed or not moves.under_way or moves.closed >= moves.version:
            return
        users = self.leaving(node, to)[:most]
        if users:
            node.rig.engine.relocation_steps.begin(users, to, KeepingSlot())

    def send(self, node: Node, to: int, *, lost_after: int | None, answered: bool) -> None:
        """Sends those who are moving; the channel takes so many chunks, and the last answer may get lost."""
        users = node.moves.users("moving").get(to, [])
        if not users or not node.is_durable():
            return
        relocation_steps = node.rig.engine.relocation_steps
        there = self.nodes[to]
        for count, chunk in enumerate([*relocation_steps.tables(), *relocation_steps.chunks(users)]):
            if lost_after is not None and count >= lost_after:
                return
            slot: KeepingSlot[None] = KeepingSlot()
            there.rig.engine.relocation_steps.take(decode_chunk(encode_chunk(chunk)), slot)
            if answered:
                there.sync()
            if not slot.answered:
                return
        if answered:
            relocation_steps.finish(users)

    def close(self, node: Node) -> None:
        """A shard that has handed over everybody says so."""
        moves = node.moves
        may_close = moves.agreed and moves.under_way and moves.closed < moves.version
        if may_close and not moves.users("moving") and not self.leaving(node):
            node.rig.engine.relocation_steps.close()
            node.look_whether_over()

    def settle(self, node: Node, shard: int) -> None:
        """A shard asks another how far it is."""
        other = self.nodes[shard]
        moves = other.moves
        if other.is_durable() and moves.closed >= node.moves.version and moves.agreed:
            node.rig.engine.relocation_steps.settle_shard(shard)
            node.look_whether_over()

    # Requests.

    def owner(self, user: int, via: int) -> Node | None:
        """The shard that a request for a user ends at, from another; None when it is held or goes round."""
        node = self.nodes[via]
        for _ in range(MOST_HOPS + 1):
            place = node.peers.place(UserId(user), None)
            if place is None:
                return None
            if place == node.index:
                return node
            node = self.nodes[place]
        return None

    def owners(self, user: int) -> list[int]:
        """The shards that take themselves for the user's."""
        return [node.index for node in self.nodes if node.peers.place(UserId(user), None) == node.index]

    def register(self, user: int, via: int) -> tuple[Node, QueueId] | None:
        """Makes a queue."""
        node = self.owner(user, via)
        if node is None:
            return None
        slot: KeepingSlot[QueueId] = KeepingSlot()
        wanted = spec(user)
        if user in LISTENERS:
            wanted = QueueSpec(
                user_id=UserId(user),
                realm_id=RealmId(1),
                all_public_streams=True,
                may_access_public_channels=True,
            )
        node.rig.engine.register(wanted, slot)
        node.sync()
        return node, slot.answer

    def poll(self, user: int, via: int, queue_id: QueueId, last: int, *, block: bool) -> Poll | None:
        """Polls; None when the request was held."""
        node = self.owner(user, via)
        if node is None:
            return None
        slot = Poll()
        node.rig.engine.poll(queue_id, user_id=UserId(user), last_event_id=last, block=block, waiter=slot)
        return slot

    def publish(self, raw: bytes, via: int, fates: Iterator[bool], hops: int = 0) -> bool:
        """Publishes at a shard, as its route does; whether that is confirmed. A fate says whether the channel works."""
        if hops > MOST_HOPS:
            return False
        node = self.nodes[via]
        notice = decode_notice(raw)
        notice.hops = hops
        if node.peers.unsure or (node.moves.under_way and node.peers._is_moving(notice)):
            return False
        spread = NoticeFanOut([notice], node.peers)
        slot: KeepingSlot[int] = KeepingSlot()
        if spread.own:
            try:
                node.rig.engine.publish(spread.own, slot)
            except Unavailable:
                return False
        done = not spread.own or slot.answered
        for shard, parts in spread._elsewhere.items():
            for _, part in parts:
                arrives, answered = next(fates), next(fates)
                if not arrives or not self.publish(part, shard, fates, hops + 1) or not answered:
                    done = False
        return done

    # What ends everything well.

    def finish(self) -> None:
        """Without any fault, until all live under the newest map."""
        for _ in range(100):
            for node in self.nodes:
                node.sync()
                if node.moves.version < self.map.version or node.peers.unsure:
                    self.tell(node)
            for node in self.nodes:
                node.sync()
                self.agree(node)
                node.sync()
                for to in range(len(self.nodes)):
                    self.begin(node, to, 100)
                    node.sync()
                    self.send(node, to, lost_after=None, answered=True)
                self.close(node)
                node.sync()
                for shard in list(node.moves.awaited):
                    self.settle(node, shard)
            if self.is_settled():
                return
        told = [(node.index, node.peers.unsure, node.moves.image()) for node in self.nodes]
        raise AssertionError("the hand-over does not come to an end", told)


def plain_notice(number: int, users: list[int]) -> bytes:
    """A notice that is for those whom it names."""
    return json.dumps({"id": f"n-{number}", "event": {"type": "x", "n": number}, "users": users}).encode()


def public_notice(number: int, users: list[int]) -> bytes:
    """A public message, which listeners hear too."""
    event: Json = message_event(number, realm_id=1, stream_name="ops")
    named = [{"id": user, "flags": []} for user in users]
    return json.dumps({"id": f"n-{number}", "event": event, "users": named}).encode()


def number_of(event: Json) -> int:
    """The number of an event of one of these."""
    number = event["message"]["id"] if event["type"] == "message" else event["n"]
    assert isinstance(number, int)
    return number


def audience(notice: Notice) -> set[int]:
    """Who must get it."""
    heard = LISTENERS if notice.kind == "message" else frozenset()
    return {*notice.users, *heard}
