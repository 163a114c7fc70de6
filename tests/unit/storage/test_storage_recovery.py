"""What recovery does with damage, with other formats, and with what is not there."""

import pytest

from support.core_rig import Rig
from support.simulated_files import Node, SimulatedFiles
from support.stores import Left, Running, begin, committed, numbered, read, restarted
from tidewire.core.errors import StateError
from tidewire.core.snapshot import Snapshot, encode_snapshot
from tidewire.storage.aside import KEPT, kept_aside
from tidewire.storage.directory import DirectoryStore, Durability
from tidewire.storage.frames import pack
from tidewire.storage.legacy import FORMAT, checksum
from tidewire.storage.segments import segment_name, segment_serials
from tidewire.storage.snapshots import snapshot_name

DURABILITIES: tuple[Durability, ...] = ("none", "process", "power")

RECORD = len(pack(b"", 1)) + len(b"\x83\xa4type\xa9published\xa3now\xcb........\xa7notices\x91\xc4") + 1 + 21
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
def test_behind_a_flipped_bit_nothing_is_applied_and_the_loss_is_counted(back: int) -> None:
    files = filled()
    node = newest(files)
    flipped = bytearray(node.content)
    flipped[-back] ^= 4
    node.content = bytes(flipped)
    lost = -(-back // RECORD)
    left = recover(files)
    assert left.numbers == [1, 2, 3, 4, 5][: 5 - lost]
    (damage,) = left.damage
    assert damage.bytes == lost * RECORD
    # The last record can't be told from one that was not written to its end, nor can a length that makes no sense.
    assert damage.records in {lost, 0}
    assert damage.records or lost == 1 or back % RECORD in {0, RECORD - 3}


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


def test_segments_behind_a_gap_are_set_aside_and_not_applied() -> None:
    files = filled(segments=3, each=3)
    middle = files.nodes["segment-00000002"]
    middle.content = middle.content[: -RECORD - 1] + b"?" + middle.content[-RECORD:]
    running = restarted(files)
    assert running.left.numbers == [1, 2, 3, 4]
    torn, lost = running.left.damage
    assert (torn.file, torn.records, torn.bytes) == ("segment-00000002", 2, 2 * RECORD)
    assert (lost.file, lost.records, lost.kept_as) == ("segment-00000003", 3, "segment-00000003.damaged-2")
    running.append(90)
    again = restarted(running.files)
    assert again.left.records[-2:] == [(4, 4), (5, 90)]
    assert again.left.damage == ()


def test_a_segment_without_its_header_is_set_aside() -> None:
    files = filled(segments=2)
    files.nodes["segment-00000001"].content = (
        b"tidewire" + files.nodes["segment-00000001"].content[8:-1] + b"~"
    )
    files.nodes["segment-00000002"].content = b"?" + files.nodes["segment-00000002"].content[1:]
    left = recover(files)
    assert left.numbers == [1, 2, 3, 4]
    assert [damage.file for damage in left.damage] == ["segment-00000001", "segment-00000002"]
    assert "header" in left.damage[1].what


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
    files = restarted(files).files.after_kill()
    assert len(kept_aside(list(files.nodes))) == KEPT + 2
    for _ in range(2 * KEPT):
        newest(files).content += b"?"
        running = restarted(files)
        assert len(running.left.damage) == 1
        running.append(1)
        files = running.files.after_kill()
    numbers = [int(name.rpartition("-")[2]) for name in kept_aside(list(files.nodes))]
    assert numbers == list(range(2 * KEPT + 2, 3 * KEPT + 3))


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


@pytest.mark.parametrize("cut", [0, 1, 20, 30, 45, -1])
def test_a_damaged_snapshot_without_one_before_stops_the_start_and_stays(cut: int) -> None:
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
    newest(files).content += pack(b"\x81\xa4type\xa5other", 6)
    with pytest.raises(StateError, match="start the version that wrote it"):
        recover(files)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"tidewire state 3\n", "newer version.*format 3"),
        (b"", "can't be understood"),
        (b"?", "can't be understood"),
    ],
)
def test_another_version_of_the_directory_is_refused(line: bytes, says: str) -> None:
    files = filled()
    files.nodes["version"].content = line
    with pytest.raises(StateError, match=says):
        recover(files)


def image() -> Snapshot:
    rig = Rig()
    rig.register()
    rig.publish({"type": "deploy"})
    return rig.engine.snapshot()


def of_format_1() -> SimulatedFiles:
    files = SimulatedFiles()
    data = encode_snapshot(image())
    files.nodes = {
        "snapshot": Node(FORMAT + b" " + checksum(data) + b"\n" + data),
        "snapshot.last": Node(b"older"),
    }
    files.flushed_nodes = dict(files.nodes)
    return files


def test_a_directory_of_format_1_is_the_state_at_position_0_until_a_snapshot_replaces_it() -> None:
    running = Running(of_format_1())
    running.append(1)
    files = running.files.after_kill()
    store = DirectoryStore(files, durability="process")
    recovery = store.recover()
    assert recovery.legacy == image()
    left = read(recovery)
    assert (left.position, left.frames, left.numbers) == (0, [], [1])
    draft = begin(store).begin_snapshot()
    draft.write(b"new")
    draft.commit()
    assert not {"snapshot", "snapshot.last"} & set(files.nodes)
    recovery = DirectoryStore(files.after_kill(), durability="process").recover()
    assert recovery.legacy is None
    assert recovery.position == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"tidewire snapshot 1 00\nx", b"something else\n", FORMAT + b" " + checksum(b"x") + b"\nx"],
)
def test_a_damaged_snapshot_of_format_1_stops_the_start_and_stays(content: bytes) -> None:
    files = SimulatedFiles()
    files.nodes = {"snapshot": Node(content)}
    with pytest.raises(StateError, match=r"/snapshot is"):
        recover(files)
    assert files.nodes["snapshot"].content == content


def test_without_a_journal_a_snapshot_of_format_1_is_given_up_too() -> None:
    running = Running(of_format_1(), "none")
    assert "snapshot" not in running.files.nodes
    assert restarted(running.files).left.frames == []


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
