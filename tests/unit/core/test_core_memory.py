"""The account of memory: bodies once, entries singly, and the comparison with what the process takes (D8)."""

from tidewire.core.memory import (
    BODY,
    COMPARABLE,
    ENTRY,
    HELD_MOST,
    MOST_CORRECTION,
    QUEUE,
    SWEEP,
    Memory,
    freed,
)


def body(number: int, size: int = 100) -> bytes:
    """A body of its own."""
    return b"%*d" % (size, number)


def test_a_body_counts_until_nothing_refers_to_it() -> None:
    memory = Memory()
    held = [body(1), body(2)]
    for each in held:
        memory.enter(each)
    del each
    memory.sweep()
    assert memory.bodies == 2 * (100 + BODY)
    del held[0]
    memory.sweep()
    assert memory.bodies == 100 + BODY
    held.clear()
    memory.sweep_all()
    assert memory.bodies == 0


def test_bodies_that_come_and_go_within_a_second_are_not_all_held() -> None:
    memory = Memory()
    for number in range(300):
        memory.enter(body(number, 1_000_000))
        assert memory.bodies <= HELD_MOST + 1_000_000 + BODY


def test_old_bodies_are_looked_at_in_turns() -> None:
    memory = Memory()
    held = [body(number) for number in range(2 * SWEEP)]
    for each in held:
        memory.enter(each)
    del each
    memory.sweep()
    held.clear()
    memory.sweep()
    assert memory.bodies == SWEEP * (100 + BODY)
    memory.sweep()
    assert memory.bodies == 0


def test_everything_is_counted() -> None:
    memory = Memory()
    memory.entries = 7
    assert memory.counted(queues=3) == 7 * ENTRY + 3 * QUEUE


def test_the_count_is_corrected_by_what_the_process_grows_by_at_a_new_height() -> None:
    memory = Memory()
    memory.compare(resident=50_000_000, queues=0)
    memory.entries = 2 * COMPARABLE // ENTRY
    counted = memory.counted(0)
    memory.compare(resident=50_000_000 + round(counted * 1.2), queues=0)
    assert round(memory.correction, 2) == 1.2
    # What was freed need not have gone back to the system.
    memory.entries //= 2
    memory.compare(resident=50_000_000 + round(counted * 1.2), queues=0)
    assert round(memory.correction, 2) == 1.2


def test_a_correction_is_neither_below_one_nor_without_bound() -> None:
    for resident, correction in ((1, 1.0), (10**12, MOST_CORRECTION)):
        memory = Memory()
        memory.compare(resident=10_000, queues=0)
        memory.entries = 2 * COMPARABLE // ENTRY
        memory.compare(resident=resident, queues=0)
        assert memory.correction == correction


def test_where_nothing_is_known_of_the_process_nothing_is_corrected() -> None:
    memory = Memory()
    memory.compare(resident=0, queues=0)
    memory.entries = 2 * COMPARABLE // ENTRY
    memory.compare(resident=0, queues=0)
    assert memory.correction == 1.0


def test_what_goes_with_entries_is_their_bodies_when_no_other_holds_them() -> None:
    memory = Memory()
    shared, own = body(1), body(2)
    memory.enter(shared)
    memory.enter(own)
    first, second = [(0, shared, b""), (1, own, b"")], [(0, shared, b"")]
    del shared, own
    left: dict[int, int] = {}
    assert freed((entry[1] for entry in first), left).total == 2 * ENTRY + 100 + BODY
    assert freed((entry[1] for entry in second), left).total == ENTRY + 100 + BODY
