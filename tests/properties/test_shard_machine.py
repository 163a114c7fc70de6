"""A shard behind a real engine, in any sequence of events, held against a naive model of its clients.

A client keeps the id of the newest event it processed and nothing else; answers get lost, are processed in
part, cut, displaced; the server stops, crashes, and loses what its journal had not made durable. Whatever
happens, a client sees what was accepted for it: all of it, once, in order.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.core_rig import KeepingSlot, Poll, Rig
from support.core_states import check_indexes, check_snapshot, durable_form, recovered, seen_so_far
from support.events import Json, flags
from support.shard_model import FOREVER, MESSAGES, Client, Model
from tidewire.core.capabilities import Capabilities
from tidewire.core.descriptor import QueueSpec
from tidewire.core.errors import BadEventQueueId, BadRequest, NoticeIdReused, Unavailable
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notice import decode_notices
from tidewire.core.queue import EventQueue
from tidewire.core.records import Ticked
from tidewire.core.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.state import Limits
from tidewire.engine import Pace

USERS = (1, 2)
OFFLINE_AFTER = 80
COLLECT_EVERY = 20

_few_messages = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3)
_plain = st.one_of(
    st.builds(lambda n: {"type": "deploy", "n": n, "id": "its own"}, st.integers(0, 99)),
    st.builds(lambda n: {"type": "deploy", "text": "é" * n}, st.integers(0, 60)),
    st.builds(lambda n: {"type": "typing", "stream_id": n}, st.integers(0, 2)),
    st.just({"type": "typing", "op": "start"}),
    st.just({"type": "muted_topics", "muted_topics": []}),
)
_changes = st.one_of(
    st.builds(flags, st.just("add"), st.sampled_from(["read", "starred", "collapsed"]), _few_messages),
    st.builds(flags, st.just("remove"), st.sampled_from(["starred", "collapsed"]), _few_messages),
    st.builds(lambda messages: flags("remove", "read", messages, message_details={"1": {}}), _few_messages),
    st.builds(
        lambda op, flag: flags(op, flag, [], for_all=True),
        st.sampled_from(["add", "remove"]),
        st.sampled_from(["read", "starred"]),
    ),
)
_events = st.one_of(_plain, _changes, _changes)
_notices = st.fixed_dictionaries(
    {"event": _events, "users": st.lists(st.sampled_from(USERS), min_size=1, max_size=4)},
    optional={"id": st.sampled_from("abcd"), "realm_id": st.sampled_from([1, 2])},
)
_specs = st.builds(
    lambda user, realm, types, typing, idle: QueueSpec(
        user_id=UserId(user),
        realm_id=RealmId(realm),
        event_types=types,
        capabilities=Capabilities(stream_typing_notifications=typing),
        idle_timeout=idle,
    ),
    st.sampled_from(USERS),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([None, None, None, ("deploy",), ("update_message_flags", "typing")]),
    st.booleans(),
    st.sampled_from([60, 130, 1000]),
)
_answer_bounds = st.sampled_from([0, 60, 150, 250, 400, 1_000_000])


class ShardMachine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.model = Model()
        self.snapshot: bytes | None = None
        self.kept_through = 0
        self.looked_at = 0
        self.open: list[Poll] = []
        self.trusted = True

    @initialize(
        bound=_answer_bounds,
        lags=st.sampled_from([False, False, True]),
        wanted=st.lists(_specs, min_size=1, max_size=3),
    )
    def begin(self, bound: int, lags: bool, wanted: list[QueueSpec]) -> None:
        """A shard with a few queues, whose journal may take its time."""
        limits = Limits(offline_after=OFFLINE_AFTER, answer_max_bytes=bound, remember_ids_for=FOREVER)
        self.rig = Rig(limits=limits, pace=Pace(collect_every=COLLECT_EVERY))
        for each in wanted:
            self.register(each)
        self.rig.journal.lags = lags

    # Requests.

    @rule(wanted=_specs)
    def register(self, wanted: QueueSpec) -> None:
        """A client registers."""
        slot: KeepingSlot[Any] = KeepingSlot()
        before = self.rig.engine.shard.queues()
        try:
            self.rig.engine.register(wanted, slot)
        except Unavailable:
            assert self.rig.journal.fails
            assert self.rig.engine.shard.queues() == before
            return
        queue_id = list(self.rig.engine.shard._state.directory)[-1].queue_id
        self.model.clients[queue_id] = Client(
            queue_id, wanted, made=len(self.rig.journal.written), active=self.rig.clock.time
        )

    @rule(batch=st.lists(_notices, min_size=1, max_size=3))
    def publish(self, batch: list[Json]) -> None:
        """A publisher sends a batch; some of its ids may be known."""
        fresh = self.model.fresh(batch)
        slot: KeepingSlot[int] = KeepingSlot()
        before = self._everything()
        try:
            self.rig.engine.publish(decode_notices(json.dumps(batch).encode()), slot)
        except NoticeIdReused:
            assert fresh is None
            assert self._everything() == before
            return
        except Unavailable:
            assert self.rig.journal.fails
            assert self._everything() == before
            return
        assert fresh is not None
        position = len(self.rig.journal.written)
        for parsed in fresh:
            self.model.publish(parsed, position)
        self.model.remember(fresh, position)

    @precondition(lambda self: self.model.live())
    @rule(
        data=st.data(),
        messages=st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=4),
        flag=st.sampled_from(["read", "starred"]),
        plain=st.sampled_from([None, None, {"type": "deploy"}]),
    )
    def publish_alike(self, data: st.DataObject, messages: list[int], flag: str, plain: Json | None) -> None:
        """Changes that merge with each other, as from a person who reads, for somebody who is there."""
        client = data.draw(st.sampled_from(self.model.live()))
        users = [int(client.spec.user_id)]
        events = [flags("add", flag, [message]) for message in messages]
        if plain is not None:
            events.insert(1, plain)
        self.publish([{"event": event, "users": users} for event in events])

    @precondition(lambda self: self.model.live())
    @rule(data=st.data(), parts=st.lists(st.sampled_from([1.0, 0.7, 0.3, 0.0]), min_size=1, max_size=3))
    def read_on(self, data: st.DataObject, parts: list[float]) -> None:
        """A client polls a few times without waiting and processes more or less of each answer."""
        client = data.draw(st.sampled_from(self.model.live()))
        for part in parts:
            slot = Poll()
            self._poll(client, False, slot)
            self.follow()
            if slot.answered:
                client.process(slot.events[: round(part * len(slot.ids))])
                client.unread = None

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data(), block=st.booleans())
    def poll(self, data: st.DataObject, block: bool) -> None:
        """A client polls with the newest id it processed, and looks at the answer later."""
        client = self._client(data)
        try:
            self._poll(client, block, Poll())
        except BadEventQueueId:
            assert not client.alive
        else:
            assert client.alive

    def _poll(self, client: Client, block: bool, slot: Poll) -> None:
        self._send(client, client.processed, block, slot)
        client.unread = None
        client.active = self.rig.clock.time
        client.waiting = slot
        client.parked_at = self.rig.clock.time
        client.parked = self._parked(slot)
        self.open.append(slot)

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data(), last=st.integers(-3, 40))
    def poll_with_wrong_id(self, data: st.DataObject, last: int) -> None:
        """An id that can't be one is refused and changes nothing (D-8); a resumed queue knows less."""
        client = self._client(data)
        found = self.rig.engine.shard.find(client.queue_id)
        if found is None or last in self._valid_ids(found.queue):
            return
        before = self._everything()
        with pytest.raises(BadRequest):
            self._send(client, last, False, Poll())
        assert self._everything() == before

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data())
    def poll_as_another(self, data: st.DataObject) -> None:
        """Somebody else polls a queue that isn't theirs."""
        client = self._client(data)
        before = self._everything()
        with pytest.raises(BadEventQueueId):
            self.rig.poll(client.queue_id, client.processed, user=99)
        assert self._everything() == before

    @precondition(lambda self: any(client.unread for client in self.model.clients.values()))
    @rule(data=st.data(), part=st.sampled_from(["all", "all", "all", "part", "lost"]))
    def process(self, data: st.DataObject, part: str) -> None:
        """A client turns to an answer that reached it: whole, a first part of it, or not at all."""
        ready = [client for client in self.model.clients.values() if client.unread]
        client = data.draw(st.sampled_from(ready))
        events = client.unread.events if client.unread else []
        count = {"all": len(events), "lost": 0}.get(part)
        client.process(events[: data.draw(st.integers(0, len(events))) if count is None else count])
        client.unread = None

    @precondition(lambda self: any(client.waiting for client in self.model.clients.values()))
    @rule(data=st.data())
    def lose_connection(self, data: st.DataObject) -> None:
        """A connection goes away while its poll waits, or while its answer is on the way."""
        waiting = [client for client in self.model.clients.values() if client.waiting]
        client = data.draw(st.sampled_from(waiting))
        slot = client.waiting
        assert slot is not None
        parked = self._parked(slot)
        assert self.rig.engine.lost(client.queue_id, slot) == parked
        if parked:
            client.active = self.rig.clock.time
            client.parked = False
            self.open.remove(slot)
        client.waiting = None

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data(), by_notice=st.booleans())
    def delete(self, data: st.DataObject, by_notice: bool) -> None:
        """A queue ends by request."""
        client = self._client(data)
        if by_notice:
            event = {"type": "cleanup_queue", "queue_id": client.queue_id}
            self.publish([{"event": event, "users": [int(client.spec.user_id)]}])
            return
        try:
            self.rig.delete(client.queue_id, user=client.spec.user_id)
        except BadEventQueueId:
            assert not client.alive
        except Unavailable:
            assert self.rig.journal.fails
        else:
            client.ended = len(self.rig.journal.written)

    # Time and the journal.

    @rule(seconds=st.sampled_from([1, 1, 1, 2, 10, 44, 60, 85]), chance=st.sampled_from([0.0, 0.5, 0.999]))
    def wait(self, seconds: int, chance: float) -> None:
        """Seconds pass, each with its tick."""
        for _ in range(seconds):
            self.rig.chances.append(chance)
            self.rig.clock.time += 1
            self.rig.engine.tick()
            self.follow()
            self._check_deadlines_are_kept()
        self.rig.chances.clear()

    @rule(fraction=st.floats(0, 0.9))
    def wait_less_than_a_tick(self, fraction: float) -> None:
        """Time that is no whole second; the bounds on times are given for ticks at whole ones."""
        self.rig.clock.time += fraction
        self.trusted = False

    @rule(count=st.sampled_from([1, 2, None]))
    def sync(self, count: int | None) -> None:
        """The journal makes more records durable."""
        self.rig.journal.sync(count)
        self.rig.engine.durable_moved()

    @rule(fails=st.booleans())
    def disk(self, fails: bool) -> None:
        """The journal begins or ceases to fail."""
        self.rig.journal.fails = fails
        self.trusted = self.trusted and not fails

    # Stopping, crashing, and coming back.

    @rule()
    def keep_snapshot(self) -> None:
        """While running, as a base for recovery."""
        if not self.rig.engine._owed:
            self.rig.journal.sync()
            self.rig.engine.durable_moved()
            self.snapshot = encode_snapshot(self.rig.engine.snapshot())
            self.kept_through = len(self.rig.journal.written)

    @rule(away=st.sampled_from([0, 10, 5000]))
    def stop_and_start(self, away: int) -> None:
        """A clean stop loses nothing, and the time away is nobody's idle time."""
        self.rig.journal.fails = False
        self.rig.engine.tick()
        self.sync(None)
        self.follow()
        self.keep_snapshot()
        before = durable_form(self.rig.engine.shard._state)
        self.rig.clock.time += away
        assert self.snapshot is not None
        self.rig.restart(decode_snapshot(self.snapshot), [], resumed=False)
        assert durable_form(self.rig.engine.shard._state) == before
        self._forget_connections()
        for client in self.model.clients.values():
            client.active += away
        shard = self.rig.engine.shard
        assert len(shard._state.reload_set) == shard.queues()

    @rule()
    def crash(self) -> None:
        """The process is gone; what is left is the snapshot and what the journal made durable."""
        self.rig.journal.lose_tail()
        image = None if self.snapshot is None else decode_snapshot(self.snapshot)
        self.rig.restart(image, self.rig.journal.records(self.kept_through), resumed=True)
        self.model.take_back(len(self.rig.journal.written))
        self.looked_at = min(self.looked_at, len(self.rig.journal.written))
        self.rig.journal.fails = False
        self.trusted = False
        self._forget_connections()

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        """A client that goes on until there is nothing more has everything."""
        self._drain(self._client(data))

    # What always holds.

    @invariant()
    def follow(self) -> None:
        """Takes in what the engine did: records of ticks, and answers that came."""
        self.rig.soon.run()
        self._follow_records()
        for slot in list(self.open):
            assert len(slot.answers) <= 1
            if slot.answered:
                assert slot.ids == sorted(set(slot.ids))
                self.open.remove(slot)
            else:
                assert self._parked(slot) or self._gated(slot)
        for client in self.model.clients.values():
            if client.parked and not (client.waiting and self._parked(client.waiting)):
                client.parked = False
                client.active = self.rig.clock.time
            if client.waiting is not None and client.waiting.answered:
                assert all(event_id > client.processed for event_id in client.waiting.ids)
                client.unread = client.waiting
                client.waiting = None

    @invariant()
    def indexes_agree(self) -> None:
        """The parts of the shard agree with each other and with the model."""
        shard = self.rig.engine.shard
        state = shard._state
        check_indexes(state)
        check_snapshot(shard, now=self.rig.clock.time, limits=self.rig.limits)
        assert {descriptor.queue_id for descriptor in state.directory} == {
            client.queue_id for client in self.model.live()
        }
        if not shard.has_ready:
            assert not state.ready
        if not len(state.directory):
            assert (state.shapes(), state.acceptances(), len(state.idle), len(state.heartbeats)) == (
                0,
                0,
                0,
                0,
            )
        assert not self.rig.reporter.failures
        assert not self.rig.reporter.answer_errors

    @invariant()
    def records_tell_everything(self) -> None:
        """Recovery gives what the live shard holds, once a tick has written down what polls did."""
        if self.rig.engine._owed:
            return
        live = self.rig.engine.shard
        now = self.rig.clock.time
        records = self.rig.journal.records(self.kept_through)
        again = recovered(self.snapshot, records, now=now, limits=self.rig.limits)
        again.apply(Ticked(now=now, seen=seen_so_far(live)))
        assert durable_form(again._state) == durable_form(live._state)
        check_indexes(again._state)

    def teardown(self) -> None:
        """In the end everybody gets everything."""
        self.rig.journal.fails = False
        self.rig.journal.lags = False
        self.sync(None)
        for client in list(self.model.clients.values()):
            self._drain(client)

    # How.

    def _client(self, data: st.DataObject) -> Client:
        return data.draw(st.sampled_from(list(self.model.clients.values())))

    def _send(self, client: Client, last: int, block: bool, slot: Poll) -> None:
        self.rig.engine.poll(
            client.queue_id, user_id=client.spec.user_id, last_event_id=last, block=block, slot=slot
        )

    def _drain(self, client: Client) -> None:
        self.rig.journal.fails = False
        client.unread = client.waiting = None
        client.parked = False
        while client.alive:
            slot = Poll()
            self._send(client, client.processed, False, slot)
            client.active = self.rig.clock.time
            self.rig.journal.sync()
            self.rig.engine.durable_moved()
            if not slot.ids:
                client.check_complete()
                break
            client.process(slot.events)
        self.follow()

    @staticmethod
    def _valid_ids(queue: EventQueue) -> set[int]:
        pruned = queue.newest_pruned_id
        assert pruned is not None
        if queue.resumed:
            return set(range(pruned, queue.next_event_id))
        return {pruned, *(entry[0] for entry in queue.entries)}

    def _everything(self) -> tuple[Any, ...]:
        engine = self.rig.engine
        image = encode_snapshot(engine.shard.snapshot(now=0.0))
        waiters = [descriptor.waiter for descriptor in engine.shard._state.directory]
        return image, waiters, len(self.rig.journal.written)

    def _parked(self, slot: Poll) -> bool:
        return any(descriptor.waiter is slot for descriptor in self.rig.engine.shard._state.directory)

    def _gated(self, slot: Poll) -> bool:
        waits = [gated for _, gated, _ in self.rig.engine._gate].count(slot) == 1
        return waits and (self.rig.journal.lags or self.rig.journal.fails or bool(self.rig.engine._owed))

    def _forget_connections(self) -> None:
        self.open.clear()
        for client in self.model.clients.values():
            client.waiting = None
            client.parked = False

    def _follow_records(self) -> None:
        for position, record in enumerate(self.rig.journal.records(self.looked_at), self.looked_at + 1):
            if isinstance(record, Ticked):
                self._follow_tick(record, position)
        self.looked_at = len(self.rig.journal.written)

    def _follow_tick(self, record: Ticked, position: int) -> None:
        for queue_id in record.heartbeats:
            client = self.model.clients[queue_id]
            if self.trusted:
                assert 45 <= record.now - client.parked_at <= 55
            client.active = record.now
        for queue_id in record.expired:
            client = self.model.clients[queue_id]
            assert client.ended == FOREVER
            if self.trusted:
                assert record.now - client.active >= client.spec.idle_timeout
            client.ended = position

    def _check_deadlines_are_kept(self) -> None:
        """No poll waits longer than the bound, and the collector sees who is gone, and only them."""
        if not self.trusted:
            return
        now = self.rig.clock.time
        for client in self.model.live():
            descriptor = self.rig.engine.shard.find(client.queue_id)
            assert descriptor is not None
            if client.parked:
                assert now - client.parked_at <= 55
                continue
            idle = now - client.active
            assert idle <= client.spec.idle_timeout + 2 * COLLECT_EVERY
            if idle < OFFLINE_AFTER:
                assert not descriptor.offline
            if idle > OFFLINE_AFTER + 2 * COLLECT_EVERY:
                assert descriptor.offline


TestShardMachine = ShardMachine.TestCase
TestShardMachine.settings = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
