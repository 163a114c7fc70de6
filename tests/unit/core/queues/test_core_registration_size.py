"""What a registration takes: bounded, counted once for all that are alike, and gone with the last of them."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.core_states import check_indexes
from tidewire.core.errors import RegistrationTooLarge
from tidewire.core.events.acceptance import Acceptance
from tidewire.core.ids import RealmId, UserId
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.queues.registration_size import size_of
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import State

EMOJI = "\N{GRINNING FACE}"


def narrowed(*operands: str, user: int = 1, types: tuple[str, ...] | None = None) -> QueueSpec:
    """A registration with these topics in its narrow."""
    return QueueSpec(
        user_id=UserId(user),
        realm_id=RealmId(1),
        event_types=types,
        narrow=tuple(("topic", operand) for operand in operands),
    )


def registrations(rig: Rig) -> int:
    return rig.engine.shard._state.memory.registrations


def test_a_registration_is_refused_by_what_it_takes_and_not_by_how_long_its_text_is() -> None:
    rig = Rig()
    rig.register(narrowed("x" * 2000))
    with pytest.raises(RegistrationTooLarge) as refused:
        # Four bytes a character.
        rig.register(narrowed("x" * 18_000 + EMOJI))
    assert (refused.value.code, refused.value.http_status) == ("REGISTRATION_TOO_LARGE", 413)
    assert refused.value.data == {"size": size_of(narrowed("x" * 18_000 + EMOJI).kept), "most": 65_536}
    with pytest.raises(RegistrationTooLarge):
        rig.register(narrowed(types=tuple(f"type-{number}" for number in range(1000))))
    assert rig.engine.shard.queues() == 1


def test_without_a_bound_any_registration_is_taken() -> None:
    rig = Rig(limits=Limits(registration_bytes=0))
    rig.register(narrowed(*(f"{number}" for number in range(1000))))


def test_those_that_are_alike_count_once_and_go_with_the_last() -> None:
    rig = Rig()
    first, second = (rig.register(narrowed("a" * 500, user=user)) for user in (1, 2))
    other = rig.register(narrowed("b" * 400))
    alike, unlike = (size_of(narrowed(text).kept) for text in ("a" * 500, "b" * 400))
    assert registrations(rig) == alike + unlike
    found = [rig.engine.shard.find(queue_id) for queue_id in (first, second)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].spec.narrow is found[1].spec.narrow
    check_indexes(rig.engine.shard._state)
    rig.delete(first)
    assert registrations(rig) == alike + unlike
    rig.delete(second, user=2)
    assert registrations(rig) == unlike
    rig.delete(other)
    assert registrations(rig) == 0


def test_an_ended_queue_keeps_nothing_of_its_narrow() -> None:
    rig = Rig()
    rig.delete(rig.register(narrowed("a" * 500)))
    (ended,) = rig.engine.shard._state.ended
    assert "a" * 500 not in repr(ended)
    assert rig.engine.shard._state.memory.registrations == 0


def test_a_recovered_shard_shares_and_counts_as_the_one_before() -> None:
    rig = Rig()
    for user in (1, 2):
        rig.register(narrowed("a" * 500, user=user))
    before = registrations(rig)
    rig.recover()
    assert registrations(rig) == before
    rig.engine.final_snapshot()
    rig.recover()
    assert registrations(rig) == before


def taken(make: Callable[[], object]) -> int:
    """Bytes that what is made takes, as Python counts them."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = make()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    del made
    return after - before


@pytest.mark.parametrize(
    "make",
    [
        lambda: narrowed(*(f"topic {number}" for number in range(20_000))),
        lambda: narrowed(*(f"{number} {EMOJI} " + "x" * 950 for number in range(200))),
        lambda: narrowed(types=tuple(f"type {number}" for number in range(2000))),
    ],
    ids=["many terms", "wide terms", "many types"],
)
def test_the_figures_are_those_of_this_interpreter(make: Callable[[], QueueSpec]) -> None:
    def registered() -> object:
        wanted = make()
        return wanted, Acceptance(wanted.acceptance_key)

    counted, real = size_of(make().kept), taken(registered)
    assert real <= counted * 1.05
    assert counted <= real * 1.7  # JSON brings an operator for each term, and this one is shared


def test_the_state_counts_tables_when_it_is_asked() -> None:
    rig = Rig(limits=Limits(memory_budget=10**9))
    rig.delete(rig.register(spec()))
    rig.publish_as("an id", {"type": "deploy"})
    state: State[Any] = rig.engine.shard._state
    before = state.memory.counted(0)
    state.count_tables()
    assert set(state.memory.tables) == {"remembered_ids", "tombstones", "outbox", "ended_queues"}
    assert state.memory.counted(0) - before == sum(state.memory.tables.values()) > 0
    assert sum(state.memory.parts(0).values()) == state.memory.counted(0)
