"""From publish to acknowledgement: which spans a notice gets, how they end, and what bounds them."""

from collections.abc import Sequence
from typing import Any

import pytest

from reference.samples import REALM, RECIPIENT, samples
from support.core_rig import START, KeepingSlot, spec
from support.events import Json, flags, notice
from support.traces import SAMPLED, SPAN, TRACE, UNSAMPLED, TracedRig
from tidewire.core.errors import InvalidNotice, NoticeIdReused, Unavailable
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.ids import UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.state.limits import Limits
from tidewire.tracing.traces import MOST_PUBLISHING, Losses

DEPLOY = {"type": "deploy"}


def publish(
    rig: TracedRig, event: Json = DEPLOY, *, users: Sequence[int] = (1,), **members: Any
) -> KeepingSlot[int]:
    slot: KeepingSlot[int] = KeepingSlot()
    rig.engine.publish(decode_notices(notice(event, users, traceparent=SAMPLED, **members)), slot)
    return slot


def test_a_notice_has_a_span_below_its_publisher_s() -> None:
    rig = TracedRig()
    rig.register()
    publish(rig, id="a", realm_id=1, users=[1, 2])
    span = rig.span
    assert span.parent is not None
    assert (span.name, f"{span.parent.trace_id:x}", f"{span.parent.span_id:016x}") == ("publish", TRACE, SPAN)
    assert (span.began, span.ended, span.error) == (START, START, "")
    assert span.attributes == {
        "tidewire.event.type": "deploy",
        "tidewire.notice.id": "a",
        "tidewire.realm.id": 1,
        "tidewire.users": 2,
        "tidewire.deliveries": 1,
        "tidewire.deliveries.untraced": 0,
        "tidewire.refused": 0,
        "tidewire.failed": 0,
    }


def test_a_delivery_is_a_span_from_queued_over_sent_to_acknowledged() -> None:
    rig = TracedRig()
    queue_id = rig.register(spec(7))
    publish(rig, users=[7])
    for _ in range(2):
        rig.clock.time += 10
        rig.poll(queue_id, user=7)
    assert not rig.span.children
    rig.clock.time += 10
    rig.poll(queue_id, 0, user=7, block=True)
    (child,) = rig.span.children
    assert (child.name, child.began, child.ended) == ("deliver", START, START + 30)
    assert child.moments == (("sent", START + 10),)
    assert child.attributes == {
        "tidewire.event.type": "deploy",
        "tidewire.event.id": 0,
        "tidewire.event.variant": 0,
        "tidewire.queue.id": queue_id,
        "tidewire.user.id": 7,
        "tidewire.realm.id": 1,
        "tidewire.outcome": "acknowledged",
        "tidewire.sends": 2,
    }
    assert len(rig.traces) == 0
    assert not rig.traces.queues


def test_a_waiting_poll_is_seen_to_be_answered() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    rig.poll(queue_id, block=True)
    rig.clock.time += 5
    publish(rig)
    rig.poll(queue_id, 0, block=True)
    (child,) = rig.span.children
    assert child.moments == (("sent", START + 5),)


def test_an_acknowledgement_ends_what_it_covers_and_no_more() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    for _ in range(3):
        publish(rig)
    rig.poll(queue_id, 1)
    assert [len(span.children) for span in rig.tracer.spans] == [1, 1, 0]
    assert [*rig.traces.queues[queue_id]] == [2]


def test_a_poll_that_is_refused_ends_nothing() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    publish(rig)
    with pytest.raises(Exception, match="not in this queue"):
        rig.poll(queue_id, 9)
    assert len(rig.traces) == 1


def test_an_event_that_others_were_merged_with_ends_with_their_acknowledgement() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    for message in (1, 2):
        publish(rig, flags("add", "read", [message]))
    (merged,) = rig.poll(queue_id).events
    rig.poll(queue_id, merged["id"], block=True)
    assert [span.outcomes() for span in rig.tracer.spans] == [["acknowledged"], ["acknowledged"]]


# The end of queues.


def reasons(rig: TracedRig) -> list[object]:
    return [child.attributes.get("tidewire.queue.end_reason") for child in rig.span.children]


def test_a_queue_that_is_deleted_ends_its_deliveries() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    publish(rig)
    rig.delete(queue_id)
    assert (rig.span.outcomes(), reasons(rig)) == (["queue_ended"], ["deleted"])
    assert not rig.traces.queues


def test_so_does_one_that_expires() -> None:
    rig = TracedRig()
    rig.register(spec(idle=600))
    publish(rig)
    rig.clock.time += 1000
    rig.engine.collect()
    assert (rig.span.outcomes(), reasons(rig)) == (["queue_ended"], ["expired"])
    assert rig.span.children[0].ended == START + 1000


def test_so_does_one_that_overflows() -> None:
    rig = TracedRig(limits=Limits(max_events=2))
    rig.register()
    publish(rig)
    rig.publish(DEPLOY, DEPLOY)
    assert (rig.span.outcomes(), reasons(rig)) == (["queue_ended"], ["overflow"])


def test_so_does_one_whose_user_is_revoked() -> None:
    rig = TracedRig()
    rig.register()
    publish(rig)
    rig.engine.revoke([UserId(1)])
    assert reasons(rig) == ["revoked"]


def test_a_notice_that_ends_queues_ends_what_another_of_its_batch_has_just_put_there() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    batch = notice(DEPLOY, traceparent=SAMPLED) + b"\n"
    batch += notice({"type": "cleanup_queue", "queue_id": queue_id})
    rig.engine.publish(decode_notices(batch), KeepingSlot[int]())
    assert reasons(rig) == ["deleted"]
    assert not rig.traces.queues


def test_who_waits_on_a_queue_that_ends_is_seen_to_get_what_is_left() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    publish(rig)
    rig.poll(queue_id)
    waiting = rig.poll(queue_id, 0, block=True)
    batch = notice(DEPLOY, traceparent=SAMPLED) + b"\n"
    batch += notice({"type": "cleanup_queue", "queue_id": queue_id})
    rig.engine.publish(decode_notices(batch), KeepingSlot[int]())
    assert waiting.ids == [1]
    (child,) = rig.tracer.spans[1].children
    assert (child.attributes["tidewire.sends"], child.attributes["tidewire.outcome"]) == (1, "queue_ended")


def test_a_queue_that_ends_leaves_those_of_others_alone() -> None:
    rig = TracedRig()
    first, _ = rig.register(spec(1)), rig.register(spec(2))
    publish(rig, users=[1, 2])
    rig.delete(first)
    assert len(rig.traces) == 1


# Confirmations and refusals.


def test_the_span_ends_when_the_notice_is_durable() -> None:
    rig = TracedRig()
    rig.journal.lags = True
    slot = publish(rig)
    rig.clock.time += 3
    assert not slot.answered
    assert rig.span.ended is None
    rig.journal.sync()
    rig.engine.durable_moved()
    assert slot.answer == 1
    assert [span.ended for span in rig.tracer.spans] == [START + 3]


def test_the_publisher_is_told_before_the_span_ends() -> None:
    rig = TracedRig()

    class Asking(KeepingSlot[int]):
        def complete(self, answer: int) -> None:
            assert rig.span.ended is None
            super().complete(answer)

    slot = Asking()
    rig.engine.publish(decode_notices(notice(DEPLOY, traceparent=SAMPLED)), slot)
    assert slot.answered
    assert rig.span.ended is not None


def test_a_repeat_says_so_and_is_delivered_nowhere() -> None:
    rig = TracedRig()
    rig.register()
    for _ in range(2):
        publish(rig, id="a")
    assert [span.attributes.get("tidewire.repeated") for span in rig.tracer.spans] == [None, True]
    assert len(rig.traces) == 1


def test_a_refused_notice_has_the_code_of_its_error() -> None:
    rig = TracedRig()
    publish(rig, id="a")
    with pytest.raises(NoticeIdReused):
        publish(rig, {"type": "other"}, id="a")
    rig.journal.fails = True
    with pytest.raises(Unavailable):
        publish(rig)
    assert [span.error for span in rig.tracer.spans] == ["", "NOTICE_ID_REUSED", Unavailable.code]
    assert all(span.ended is not None for span in rig.tracer.spans)


def test_one_wrong_notice_ends_the_spans_of_its_whole_batch() -> None:
    rig = TracedRig()
    batch = notice(DEPLOY, traceparent=SAMPLED) + b"\n" + notice({"type": "message"}, traceparent=SAMPLED)
    with pytest.raises(InvalidNotice):
        rig.engine.publish(decode_notices(batch), KeepingSlot[int]())
    assert [span.error for span in rig.tracer.spans] == ["INVALID_NOTICE"] * 2


def test_refusals_are_counted_and_no_span() -> None:
    rig = TracedRig()
    rig.register(spec(types=["other"]))
    rig.register()
    publish(rig)
    assert (rig.span.attributes["tidewire.refused"], rig.span.attributes["tidewire.deliveries"]) == (1, 1)


# What is not traced.


@pytest.mark.parametrize("traceparent", [None, "", UNSAMPLED, "another", SAMPLED.upper()])
def test_a_notice_without_a_sampled_trace_gets_no_span_and_is_delivered(traceparent: str | None) -> None:
    rig = TracedRig()
    queue_id = rig.register()
    members: dict[str, Any] = {} if traceparent is None else {"traceparent": traceparent}
    slot: KeepingSlot[int] = KeepingSlot()
    rig.engine.publish(decode_notices(notice(DEPLOY, **members)), slot)
    assert slot.answer == 1
    assert len(rig.poll(queue_id).events) == 1
    assert not rig.tracer.spans
    assert rig.traces.losses.malformed == (traceparent in {"another", SAMPLED.upper()})


def test_a_notice_without_a_trace_makes_no_call_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = TracedRig()
    queue_id = rig.register()

    def never(*_arguments: object, **_keywords: object) -> None:
        raise AssertionError

    for name in ("begin", "carried_out", "settle", "sent", "acknowledged", "ended"):
        monkeypatch.setattr(rig.traces, name, never)
    monkeypatch.setattr("tidewire.tracing.traced_shard.TracedDispatch", never)
    rig.poll(queue_id, block=True)
    rig.publish(DEPLOY, DEPLOY)
    rig.poll(queue_id, 1, block=True)
    rig.engine.tick()
    rig.delete(queue_id)


def test_in_a_mixed_batch_only_those_with_a_trace_are_traced() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    batch = b"\n".join([notice(DEPLOY), notice(DEPLOY, traceparent=SAMPLED), notice(DEPLOY)])
    rig.engine.publish(decode_notices(batch), KeepingSlot[int]())
    assert [*rig.traces.queues[queue_id]] == [1]


def test_a_tracer_that_wants_no_span_gets_none() -> None:
    rig = TracedRig()
    rig.register()
    rig.tracer.records = False
    publish(rig)
    assert (rig.tracer.spans, len(rig.traces)) == ([], 0)


def test_what_recovery_repeats_is_not_traced_again() -> None:
    rig = TracedRig()
    rig.register()
    publish(rig)
    before = len(rig.tracer.spans)
    rig.engine.shard.apply(rig.journal.records()[-1])
    assert (len(rig.tracer.spans), len(rig.traces)) == (before, 1)


# Bounds.


def test_of_a_notice_so_many_deliveries_have_spans_and_the_others_are_counted() -> None:
    rig = TracedRig(per_notice=3)
    for user in range(5):
        rig.register(spec(user))
    publish(rig, users=[*range(5)])
    assert len(rig.traces) == 3
    attributes = rig.span.attributes
    assert (attributes["tidewire.deliveries"], attributes["tidewire.deliveries.untraced"]) == (5, 2)


def test_when_too_many_are_open_the_oldest_end_as_they_are() -> None:
    rig = TracedRig(most_open=2)
    rig.register(spec(1))
    second = rig.register(spec(2))
    publish(rig)
    rig.clock.time += 1
    for _ in range(2):
        publish(rig, users=[2])
    assert rig.span_outcomes() == [["gave_way"], [], []]
    assert rig.tracer.spans[0].children[0].ended == START + 1
    assert len(rig.traces) == 2
    rig.poll(second, 1, user=2)
    assert rig.span_outcomes() == [["gave_way"], ["acknowledged"], ["acknowledged"]]
    assert not rig.losses
    for _ in range(2):
        rig.engine.tick()
    assert rig.losses == [Losses(gave_way=1)]


def test_what_traces_lack_is_told_once_a_minute_and_at_a_stop() -> None:
    rig = TracedRig()
    for seconds in (0, 30, 29, 1):
        rig.clock.time += seconds
        rig.engine.publish(decode_notices(notice(DEPLOY, traceparent="none")), KeepingSlot[int]())
        rig.engine.tick()
    assert [losses.malformed for losses in rig.losses] == [1, 4]
    rig.engine.publish(decode_notices(notice(DEPLOY, traceparent="none")), KeepingSlot[int]())
    rig.engine.tick()
    rig.traces.close(rig.clock.now())
    assert [losses.malformed for losses in rig.losses] == [1, 4, 5]


def test_one_batch_begins_only_so_many_spans() -> None:
    rig = TracedRig()
    batch = b"\n".join([notice(DEPLOY, traceparent=SAMPLED)] * (MOST_PUBLISHING + 2))
    slot: KeepingSlot[int] = KeepingSlot()
    rig.engine.publish(decode_notices(batch), slot)
    assert slot.answer == MOST_PUBLISHING + 2
    assert (len(rig.tracer.spans), rig.traces.losses.passed_over) == (MOST_PUBLISHING, 2)
    publish(rig)
    assert len(rig.tracer.spans) == MOST_PUBLISHING + 1


def test_a_stop_hands_on_what_is_open() -> None:
    rig = TracedRig()
    queue_id = rig.register()
    publish(rig)
    rig.poll(queue_id)
    rig.traces.close(START + 9)
    (child,) = rig.span.children
    assert (rig.span.outcomes(), child.ended, child.moments) == (
        ["server_stopped"],
        START + 9,
        (("sent", START),),
    )
    assert rig.tracer.is_closed
    assert len(rig.traces) == 0


# Every processor.


@pytest.mark.parametrize("capable", [True, False])
def test_each_kind_of_notice_is_delivered_the_same_with_a_trace_and_without(*, capable: bool) -> None:
    capabilities = Capabilities(**dict.fromkeys(CAPABILITY_NAMES, capable))
    wanted = QueueSpec(
        user_id=RECIPIENT, realm_id=REALM, client_type_name="website", capabilities=capabilities
    )
    delivered = 0
    for sample in samples():
        got = []
        members: dict[str, Any]
        for members in ({}, {"traceparent": SAMPLED}):
            rig = TracedRig()
            queue_id = rig.register(wanted)
            raw = notice(sample.event, sample.users, **members)
            rig.engine.publish(decode_notices(raw), KeepingSlot[int]())
            got.append(rig.poll(queue_id, user=RECIPIENT).events)
            assert not rig.reporter.failures
            assert len(rig.traces) == len(got[-1]) * bool(members)
        assert got[0] == got[1], sample.event
        delivered += len(got[1])
    assert delivered > 50
