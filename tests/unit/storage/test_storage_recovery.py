"""What recovery does with damage, with other formats, and with what is not there."""

import pytest

from support.simulated_files import Node, SimulatedFiles
from support.stores import Left, Running, begin, committed, numbered, read, restarted
from tidewire.core.errors import StateError
from tidewire.storage.directory import DirectoryStore, Durability
from tidewire.storage.format import HEAD, pack, seed_of
from tidewire.storage.quarantine import KEPT, kept_aside
from tidewire.storage.segments import segment_name, segment_serials
from tidewire.storage.snapshots import snapshot_name

DURABILITIES: tuple[Durability, ...] = ("none", "process", "power")

RECORD = HEAD.size + len(b"\x83\xa4type\xa9published\xa3now\xcb........\xa7notices\x91\xc4") + 1 + 21
"""Bytes of a record as `numbered` makes them."""


def newest(files: SimulatedFiles) -> Node:
    return files.nodes[segment_name(segment_serials(list(files.nodes))[-1])]


def filled(*, segments: int = 1, each: int = 5) -> SimulatedFiles:
    """Segments of so many records each, as a killed process leaves them."""
    running = Running(SimulatedFiles(), segment_bytes=RECORD * each)
    running.append(*range(1, segments * each + 1))
    return running.files.after_kill()


def recover(files: SimulatedFiles) -> Left:
    return read(DirectoryStore(files, durability="process").recover())


def test_a_torn_record_is_dropped_counted_and_kept_aside() -> None:
    files = filled()
    newest(files).content = newest(files).content[:-10]
    torn = newest(files).content
    running = restarted(files)
    assert running.left.numbers == [1, 2, 3, 4]
    (damage,) = running.left.damage
    assert (damage.file, damage.kept_as) == ("segment-00000001", "segment-00000001.damaged-1")
    assert (damage.records, damage.bytes) == (0, RECORD - 10)
    assert running.files.nodes["segment-00000001.damaged-1"].content == torn
    running.append(50)
    again = restarted(running.files)
    assert again.left.records == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 50)]
    assert again.left.damage == ()


@pytest.mark.parametrize("back", [1, RECORD - 9, RECORD - 1, RECORD, 2 * RECORD - 3, 3 * RECORD])
def test_a_flipped_bit_costs_its_record_and_those_behind_it_are_applied(back: int) -> None:
    files = filled()
    node = newest(files)
    flipped = bytearray(node.content)
    flipped[-back] ^= 4
    node.content = bytes(flipped)
    lost = 6 - -(-back // RECORD)
    left = recover(files)
    assert left.numbers == [number for number in (1, 2, 3, 4, 5) if number != lost]
    (damage,) = left.damage
    assert damage.bytes == RECORD
    assert (damage.records, left.existed) == (1, 5)


def test_after_a_loss_of_power_what_follows_a_lost_record_that_was_not_promised_does_not_count() -> None:
    files = filled(segments=2)
    node = files.nodes["segment-00000001"]
    node.content = node.content[: -RECORD - 1] + b"?" + node.content[-RECORD:]
    files.run += 1
    left = recover(files)
    assert (left.numbers, left.existed) == ([1, 2, 3], 3)
    assert [(damage.file, damage.records) for damage in left.damage] == [
        ("segment-00000001", 0),
        ("segment-00000002", 5),
    ]


def test_after_a_loss_of_power_a_lost_record_that_had_been_flushed_is_damaged() -> None:
    running = Running(SimulatedFiles(), "power")
    running.append(1, 2, 3)
    running.flush()
    running.append(4)
    files = running.files.after_kill()
    node = newest(files)
    node.content = node.content[: -3 * RECORD - 1] + b"?" + node.content[-3 * RECORD :]
    files.run += 1
    left = recover(files)
    assert (left.numbers, left.existed) == ([2, 3, 4], 4)


def test_zeros_at_the_end_are_no_records() -> None:
    files = filled()
    newest(files).content += bytes(5000)
    left = recover(files)
    assert left.numbers == [1, 2, 3, 4, 5]
    assert [damage.bytes for damage in left.damage] == [5000]


def test_a_record_in_another_ones_place_is_not_accepted() -> None:
    files = filled()
    node = newest(files)
    node.content += node.content[-RECORD:]
    assert recover(files).numbers == [1, 2, 3, 4, 5]


def test_a_gap_is_told_once_and_stays_one_also_after_a_loss_of_power() -> None:
    files = filled(segments=3, each=3)
    middle = files.nodes["segment-00000002"]
    middle.content = middle.content[: -RECORD - 1] + b"?" + middle.content[-RECORD:]
    running = restarted(files)
    others = [1, 2, 3, 4, 6, 7, 8, 9]
    assert running.left.numbers == others
    (damage,) = running.left.damage
    assert (damage.file, damage.records, damage.bytes) == ("segment-00000002", 1, RECORD)
    assert damage.kept_as == "segment-00000002.damaged-1"
    running.append(90)
    for power_is_lost in (False, True):
        files = running.files.after_kill()
        files.run += power_is_lost
        again = Running(files)
        assert again.left.records == [*((number, number) for number in others), (10, 90)]
        assert again.left.damage == ()


@pytest.mark.parametrize("back", [1, 2, 8])
def test_a_last_record_that_is_damaged_is_lost_and_its_position_not_given_again(back: int) -> None:
    files = filled()
    content = newest(files).content
    newest(files).content = content[:-back] + bytes([content[-back] ^ 1]) + content[len(content) - back + 1 :]
    running = restarted(files)
    assert (running.left.numbers, running.left.existed) == ([1, 2, 3, 4], 5)
    assert [damage.records for damage in running.left.damage] == [1]
    assert running.journal.append(numbered(60)) == 6
    again = restarted(running.files)
    assert again.left.records[-2:] == [(4, 4), (6, 60)]
    assert again.left.damage == ()


def test_records_behind_a_damaged_header_are_read_and_nobody_knows_under_what_they_were_written() -> None:
    files = filled(segments=2)
    node = files.nodes["segment-00000002"]
    place = node.content.index(b"rules 1")
    node.content = node.content[:place] + b"R" + node.content[place + 1 :]
    left = recover(files)
    assert left.numbers == list(range(1, 11))
    assert [origin.fingerprint for _, origin in left.origins] == ["rules 1", ""]


def test_an_empty_file_of_a_segment_is_no_damage() -> None:
    files = filled()
    files.nodes["segment-00000002"] = Node()
    running = restarted(files)
    assert running.left.damage == ()
    assert running.left.numbers == [1, 2, 3, 4, 5]
    assert "segment-00000002" not in running.files.nodes


def test_of_the_damaged_files_of_earlier_starts_only_a_few_are_kept() -> None:
    files = filled(segments=KEPT + 3, each=2)
    files.nodes[segment_name(2)].content = b"?"
    running = restarted(files)
    assert [(damage.file, damage.records) for damage in running.left.damage] == [
        ("", 2),
        (segment_name(2), 0),
    ]
    files = running.files.after_kill()
    assert len(kept_aside(list(files.nodes))) == 1
    for _ in range(2 * KEPT):
        newest(files).content += b"?"
        running = restarted(files)
        assert len(running.left.damage) == 1
        running.append(1)
        files = running.files.after_kill()
    numbers = [int(name.rpartition("-")[2]) for name in kept_aside(list(files.nodes))]
    assert numbers == list(range(KEPT + 1, 2 * KEPT + 2))


def test_many_starts_leave_no_heap_of_empty_segments() -> None:
    files = SimulatedFiles()
    for _ in range(20):
        files = Running(files).files.after_kill()
    assert len(segment_serials(list(files.nodes))) == 1


def test_a_damaged_snapshot_is_replaced_by_the_one_before_while_its_records_are_there() -> None:
    files = committed(remove=False)
    node = files.nodes[snapshot_name(4)]
    node.content = node.content.replace(b"second", b"SECOND")
    running = restarted(files)
    assert (running.left.position, running.left.frames) == (2, [b"first"])
    assert running.left.numbers == [3, 4, 5]
    (damage,) = running.left.damage
    assert (damage.file, damage.kept_as) == ("snapshot-000000000004", "snapshot-000000000004.damaged-1")
    running.snapshot(b"third")
    assert restarted(running.files).left.position == 5


@pytest.mark.parametrize("cut", [0, 1, 20, 40, 65])
def test_a_snapshot_that_is_damaged_as_a_whole_without_one_before_stops_the_start_and_stays(cut: int) -> None:
    files = committed(remove=True)
    node = files.nodes[snapshot_name(4)]
    node.content = node.content[:cut]
    names = set(files.nodes)
    with pytest.raises(StateError, match="from a copy, or move all its files away"):
        recover(files)
    assert set(files.nodes) == names


def test_a_snapshot_that_is_damaged_between_the_check_and_the_reading_stops_the_start() -> None:
    files = committed(remove=True)
    recovery = DirectoryStore(files, durability="process").recover()
    node = files.nodes[snapshot_name(4)]
    node.content = node.content.replace(b"second", b"SECOND")
    with pytest.raises(StateError, match="check the disk"):
        list(recovery.frames)


def test_the_first_snapshot_is_replaced_by_the_records_from_the_beginning() -> None:
    running = Running(SimulatedFiles())
    running.append(1, 2)
    before = dict(running.files.nodes)
    running.snapshot(b"first")
    files = running.files.after_kill()
    files.nodes = {**before, **files.nodes}
    files.nodes[snapshot_name(2)].content += b"?"
    left = recover(files)
    assert (left.position, left.numbers) == (0, [1, 2])


def test_records_whose_snapshot_is_missing_stop_the_start() -> None:
    running = restarted(committed(remove=True))
    running.append(6)
    files = running.files.after_kill()
    del files.nodes[snapshot_name(4)]
    with pytest.raises(StateError, match="missing"):
        recover(files)


def test_positions_that_a_snapshot_shows_are_not_given_again() -> None:
    running = Running(SimulatedFiles())
    running.append(1)
    draft = running.journal.begin_snapshot()
    running.append(2, 3)
    draft.commit()
    files = running.files.after_kill()
    newest(files).content = newest(files).content[:-1]
    running = restarted(files)
    assert (running.left.reached, running.left.through) == (2, 3)
    assert [damage.records for damage in running.left.damage] == [0, 1]
    assert running.journal.append(numbered(40)) == 4
    again = restarted(running.files)
    assert again.left.records == [(2, 2), (4, 40)]
    assert again.left.damage == ()
    assert again.journal.append(numbered(50)) == 5


def test_a_record_that_is_none_of_ours_stops_the_start() -> None:
    files = filled()
    newest(files).content += pack(b"\x81\xa4type\xa5other", 6, seed_of("segment-00000001"))
    with pytest.raises(StateError, match="start the version that wrote it"):
        recover(files)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"tidewire state 4\n", "a newer version.*format 4"),
        (b"tidewire state 2\n", "an older version.*format 2"),
        (b"", "can't be understood"),
        (b"?", "can't be understood"),
    ],
)
def test_another_version_of_the_directory_is_refused(line: bytes, says: str) -> None:
    files = filled()
    files.nodes["version"].content = line
    with pytest.raises(StateError, match=says):
        recover(files)


def test_going_on_before_recovery_is_a_mistake() -> None:
    with pytest.raises(RuntimeError):
        begin(DirectoryStore(SimulatedFiles(), durability="process"))


@pytest.mark.parametrize("durability", DURABILITIES)
def test_going_on_twice_is_a_mistake(durability: Durability) -> None:
    running = Running(SimulatedFiles(), durability)
    with pytest.raises(RuntimeError):
        begin(running.store)


def test_drafts_of_earlier_processes_are_removed() -> None:
    running = Running(SimulatedFiles())
    running.append(1)
    running.journal.begin_snapshot().write(b"half")
    files = running.files.after_kill()
    assert snapshot_name(1) + ".draft" in files.nodes
    left = recover(files)
    assert left.numbers == [1]
    assert snapshot_name(1) + ".draft" not in files.nodes
