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

import tidewire.core.transitions.decide
import tidewire.core.transitions.polling
import tidewire.engine.delivery
import tidewire.engine.snapshots
from support.core_rig import KeepingSlot, Poll, Rig
from support.core_states import check_dump, durable_form
from support.events import Json, flags
from support.notification_model import EMAIL, MOBILE, Step
from support.shard_inputs import ABOUT_MESSAGES, ANSWER_BOUNDS, BOUNDS, NOTHING_ASKED, NOTICES, SPECS, USERS
from support.shard_model import FOREVER, MESSAGES, Client
from support.shard_world import COLLECT_EVERY, OFFLINE_AFTER, ShardWorld
from support.whole_messages import edit_event, message_event, recipient
from tidewire.core.errors import BadEventQueueId, BadRequest, NoticeIdReused, Unavailable, UserDeactivated
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import RELOAD
from tidewire.engine.timing import EngineTiming


class ShardMachine(ShardWorld, RuleBasedStateMachine):
    """See the module."""

    usual_slices = tidewire.engine.delivery.FLUSH_SLICE, tidewire.engine.snapshots.SLICE
    usual_displacements = tidewire.core.transitions.polling.DISPLACEMENTS
    usual_seen = tidewire.core.transitions.decide.SEEN_AT_ONCE
    messages = 0

    @initialize(
        bound=ANSWER_BOUNDS,
        outbox=st.sampled_from([0, 3, 1000]),
        slices=st.tuples(st.sampled_from([1, 500]), st.sampled_from([1.0, 25.0, 5000.0])),
        lags=st.sampled_from([False, False, True]),
        bounds=BOUNDS,
        displacements=st.sampled_from([1, 10]),
        seen=st.sampled_from([1, 1000]),
        wanted=st.lists(SPECS, min_size=1, max_size=3),
    )
    def begin(
        self,
        *,
        bound: int,
        outbox: int,
        slices: tuple[int, float],
        lags: bool,
        bounds: dict[str, int],
        displacements: int,
        seen: int,
        wanted: list[QueueSpec],
    ) -> None:
        """A shard with a few queues, whose journal may take its time."""
        tidewire.engine.delivery.FLUSH_SLICE, tidewire.engine.snapshots.SLICE = slices
        tidewire.core.transitions.polling.DISPLACEMENTS = displacements
        tidewire.core.transitions.decide.SEEN_AT_ONCE = seen
        limits = Limits(
            offline_after=OFFLINE_AFTER,
            answer_max_bytes=bound,
            remember_ids_for=FOREVER,
            outbox_max=outbox,
            tombstones_for=FOREVER,
            **bounds,
        )
        self.model.outbox.most = outbox
        self.rig = Rig(limits=limits, timing=EngineTiming(collect_every=COLLECT_EVERY))
        for each in wanted:
            self.register(each)
        self.rig.journal.lags = lags

    # Requests.

    @rule(wanted=SPECS)
    def register(self, wanted: QueueSpec) -> None:
        """A client registers."""
        slot: KeepingSlot[Any] = KeepingSlot()
        before = self.everything()
        own = self.model.of_user(wanted.user_id)
        surplus = len(own) + 1 - self.rig.limits.max_per_user if self.rig.limits.max_per_user else 0
        idle = sorted((client for client in own if not client.parked), key=lambda client: client.active)
        try:
            self.rig.engine.register(wanted, slot)
        except Unavailable:
            assert self.rig.journal.fails
            assert self.everything() == before
            return
        except UserDeactivated:
            assert self.model.is_revoked(wanted.user_id)
            assert self.everything() == before
            return
        except BadRequest:
            assert surplus > len(idle)
            assert self.everything() == before
            return
        assert not self.model.is_revoked(wanted.user_id)
        self.follow_records()
        gone = [client for client in own if not client.alive]
        assert len(gone) == max(0, surplus)
        assert {client.reason for client in gone} <= {"limit"}
        if self.trusted:
            # Those that are idle for longest.
            assert sorted(client.active for client in gone) == [client.active for client in idle[: len(gone)]]
        queue_id = list(self.rig.engine.shard._state.directory)[-1].queue_id
        self.model.clients[queue_id] = Client(
            queue_id, wanted, made=len(self.rig.journal.written), active=self.rig.clock.time
        )

    @rule(batch=st.lists(NOTICES, min_size=1, max_size=3))
    def publish(self, batch: list[Json]) -> None:
        """A publisher sends a batch; some of its ids may be known."""
        fresh = self.model.fresh(batch)
        records = len(self.rig.journal.written)
        slot: KeepingSlot[int] = KeepingSlot()
        before = self.everything()
        try:
            self.rig.engine.publish(decode_notices(json.dumps(batch).encode()), slot)
        except NoticeIdReused:
            assert fresh is None
            assert self.everything() == before
            return
        except Unavailable:
            assert self.rig.journal.fails
            assert self.everything() == before
            return
        assert fresh is not None
        positions = self.positions_of_notices(records)
        for parsed, position in zip(fresh, positions, strict=True):
            self.follow_records(position - 1)
            self.model.publish(parsed, position)
        self.model.remember(fresh, positions)

    @rule(data=st.data(), batch=st.lists(ABOUT_MESSAGES, min_size=1, max_size=4))
    def publish_messages(self, data: st.DataObject, batch: list[tuple[str, list[Json], Json]]) -> None:
        """Messages, edits and ends of queues, whose decisions rest on each other, in one batch."""
        notices: list[Json] = []
        for kind, users, inputs in batch:
            if kind == "cleanup":
                if self.model.clients:
                    client = self._client(data)
                    event = {"type": "cleanup_queue", "queue_id": client.queue_id}
                    notices.append({"event": event, "users": [int(client.spec.user_id)]})
                continue
            notices.append({"event": self._event(kind, inputs), "users": users})
        if notices:
            self.publish(notices)

    def _event(self, kind: str, inputs: Json) -> Json:
        if kind == "edit":
            edited = 1 + self.messages // 2
            return edit_event(edited, **inputs, prior_mention_user_ids=inputs["stream_email_user_ids"])
        self.messages += 1
        if kind == "direct":
            no_channel: Json = {"stream_push_user_ids": [], "stream_email_user_ids": []}
            return message_event(self.messages, direct=True, **{**inputs, **no_channel})
        return message_event(self.messages, **inputs)

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
        if client.alive:
            self._poll(client, block, Poll())
        elif self.model.is_revoked(client.spec.user_id):
            with pytest.raises(UserDeactivated):
                self._poll(client, block, Poll())
        else:
            with pytest.raises(BadEventQueueId) as refused:
                self._poll(client, block, Poll())
            reason = self.model.reason(client, self.rig.limits.tombstones_max)
            assert refused.value.data["reason"] == reason

    def _poll(self, client: Client, block: bool, slot: Poll) -> None:
        self.send(client, client.processed, block, slot)
        client.unread = None
        client.active = self.rig.clock.time
        client.waiting = slot
        client.parked_at = self.rig.clock.time
        client.blocks = block
        client.parked = self.parked(slot)
        self.open.append(slot)

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data(), last=st.integers(-3, 40))
    def poll_with_wrong_id(self, data: st.DataObject, last: int) -> None:
        """An id that can't be one is refused and changes nothing (D-8); a resumed queue knows less."""
        client = self._client(data)
        found = self.rig.engine.shard.find(client.queue_id)
        if found is None or last in self.valid_ids(found.queue):
            return
        before = self.everything()
        with pytest.raises(BadRequest):
            self.send(client, last, False, Poll())
        assert self.everything() == before

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data())
    def poll_as_another(self, data: st.DataObject) -> None:
        """Somebody else polls a queue that isn't theirs."""
        client = self._client(data)
        before = self.everything()
        with pytest.raises(BadEventQueueId) as refused:
            self.rig.poll(client.queue_id, client.processed, user=99)
        assert refused.value.data == {"queue_id": client.queue_id, "reason": "unknown"}
        assert self.everything() == before

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
        parked = self.parked(slot)
        assert self.rig.engine.poll_disconnected(client.queue_id, slot) == parked
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
            self.model.leave([client], len(self.rig.journal.written))
            self.model.end(client, len(self.rig.journal.written), "deleted")

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data(), by=st.sampled_from(["users file", "notice", "event"]), stays=st.booleans())
    def revoke(self, data: st.DataObject, by: str, stays: bool) -> None:
        """A user's rights are taken, and perhaps given back."""
        user = int(self._client(data).spec.user_id)
        if self.rig.journal.fails:
            return
        if by == "users file":
            assert self.rig.engine.revoke([UserId(user)]) == len(self.model.of_user(user))
            self.follow()
            assert {client.reason for client in self.model.of_user(user)} == set()
            return
        took, gave = [
            {"type": f"{word}_user", "user_id": user}
            if by == "notice"
            else {"type": "realm_user", "op": "update", "person": {"user_id": user, "is_active": active}}
            for word, active in (("revoke", False), ("restore", True))
        ]
        self.publish([{"event": took, "users": []}])
        if not stays:
            self.publish([{"event": gave, "users": []}])

    @rule(user=st.sampled_from(USERS), polls=st.booleans())
    def a_message_for_somebody_who_is_gone(self, user: int, polls: bool) -> None:
        """Nobody polls after it until the owner counts as gone, and perhaps a client was there just before."""
        if polls and self.model.of_user(user):
            client = self.model.of_user(user)[0]
            if not self.rig.journal.fails:
                self._poll(client, False, Poll())
        self.messages += 1
        self.publish([{"event": self._event("direct", NOTHING_ASKED), "users": [recipient(user)]}])
        # A poll may be answered by now, and not in the second that comes.
        self.follow()
        self.wait(OFFLINE_AFTER + COLLECT_EVERY + 1, 0.5)

    # The outbox.

    @rule(queue=st.sampled_from([MOBILE, EMAIL]), after=st.integers(0, 5), limit=st.integers(1, 5))
    def read_outbox(self, queue: str, after: int, limit: int) -> None:
        """A worker asks; it is answered when what it gets is durable."""
        slot: KeepingSlot[OutboxPage] = KeepingSlot()
        self.rig.engine.read_outbox(queue, after=after, limit=limit, waiter=slot)
        self.readers.append((queue, slot))

    @rule(queue=st.sampled_from([MOBILE, EMAIL]), through=st.integers(0, 8))
    def acknowledge_outbox(self, queue: str, through: int) -> None:
        """A worker acknowledges, perhaps what is gone already, or what there never was."""
        before = len(self.rig.journal.written)
        everything = self.everything()
        try:
            self.rig.engine.acknowledge_outbox(queue, through=through, waiter=KeepingSlot[int]())
        except (BadRequest, Unavailable):
            assert self.everything() == everything
            return
        if len(self.rig.journal.written) > before:
            step = Step(len(self.rig.journal.written), queue, through=through)
            self.model.outbox.steps.append(step)

    # Time and the journal.

    @rule(seconds=st.sampled_from([1, 1, 1, 2, 10, 44, 60, 85]), chance=st.sampled_from([0.0, 0.5, 0.999]))
    def wait(self, seconds: int, chance: float) -> None:
        """Seconds pass, each with its tick."""
        for _ in range(seconds):
            self.rig.chances.append(chance)
            self.rig.clock.time += 1
            self.rig.engine.tick()
            self.work()
            self.follow()
            self.check_deadlines()
        self.rig.chances.clear()

    @rule(fraction=st.floats(0, 0.9))
    def wait_less_than_a_tick(self, fraction: float) -> None:
        """Time that is no whole second; the bounds on times are given for ticks at whole ones."""
        self.rig.clock.time += fraction
        self.trusted = False

    @rule()
    def turn(self) -> None:
        """The loop turns once: the next slice of answers."""
        self.rig.soon.run()

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
    def begin_snapshot(self) -> None:
        """A snapshot begins; its slices come as the loop turns, with whatever else between them."""
        self.rig.engine._scheduler.begin()

    @rule(waits=st.booleans())
    def thread(self, waits: bool) -> None:
        """The thread that waits for the disk takes its time, or is done."""
        self.rig.aside.waits = waits
        if not waits:
            self.rig.aside.run()

    @rule(away=st.sampled_from([0, 10, 5000]))
    def stop_and_start(self, away: int) -> None:
        """A clean stop loses nothing, and the time away is nobody's idle time."""
        self.rig.journal.fails = False
        self.work()
        self.rig.engine.tick()
        self.sync(None)
        self.follow()
        self.rig.aside.run()
        assert self.rig.engine.final_snapshot()
        before = durable_form(self.rig.engine.shard._state)
        self.rig.clock.time += away
        report = self.rig.recover(self.rig.journal.fingerprint + "'")
        assert (report.records, report.resumed, list(report.upgraded)) == (0, False, [])
        assert durable_form(self.rig.engine.shard._state) == before
        self.forget_connections()
        for client in self.model.clients.values():
            client.active += away
        shard = self.rig.engine.shard
        told = [queue.queue_id for queue in shard._state.directory if not queue.acceptance.refusal(RELOAD)]
        assert sorted(shard._state.reload_set) == sorted(told)

    @rule(away=st.sampled_from([0, 5000]), upgrade=st.sampled_from([False, False, False, True]))
    def crash(self, away: int, upgrade: bool) -> None:
        """The process is gone; what is left is the newest snapshot and what the journal made durable."""
        journal = self.rig.journal
        journal.lose_tail()
        journal.fails = False
        self.model.take_back(len(journal.written))
        self.looked_at = min(self.looked_at, len(journal.written))
        self.rig.clock.time += away
        report = self.rig.recover(journal.fingerprint + "'" * upgrade)
        assert not report.skipped
        self.trusted = False
        self.forget_connections()
        for client in self.model.live():
            # What polls changed since the last tick is not known any more; `check_records` has watched the rest.
            client.offline, acknowledged = self.rig.found[QueueId(client.queue_id)]
            assert acknowledged is not None
            client.acknowledged = acknowledged
        self.follow()
        self.check_given()

    @precondition(lambda self: self.model.clients)
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        """A client that goes on until there is nothing more has everything."""
        self.empty(self._client(data))

    # What always holds.

    @invariant()
    def answers_and_ticks_are_right(self) -> None:
        """Every poll is answered once, waits, or is lost; heartbeats and expiry come in their time."""
        self.follow()

    @invariant()
    def parts_agree(self) -> None:
        """The parts of the shard agree with each other and with the model."""
        self.check_parts()

    @invariant()
    def records_tell_everything(self) -> None:
        """Recovery gives what the live shard holds."""
        self.check_records()

    def teardown(self) -> None:
        """In the end everybody gets everything."""
        tidewire.engine.delivery.FLUSH_SLICE, tidewire.engine.snapshots.SLICE = self.usual_slices
        tidewire.core.transitions.polling.DISPLACEMENTS = self.usual_displacements
        tidewire.core.transitions.decide.SEEN_AT_ONCE = self.usual_seen
        check_dump(self.rig.engine.shard)
        self.rig.journal.fails = False
        self.rig.journal.lags = False
        self.work()
        self.sync(None)
        for client in list(self.model.clients.values()):
            self.empty(client)

    def _client(self, data: st.DataObject) -> Client:
        return data.draw(st.sampled_from(list(self.model.clients.values())))


TestShardMachine = ShardMachine.TestCase
TestShardMachine.settings = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
