"""Who else may use a state directory: writing is refused, reading is told of, and each mode is one of the three."""

from pathlib import Path

import pytest

from tidewire.core.errors import StateError
from tidewire.storage.permissions import check_directory, mode_of, readable_by_others, writable_by_others


@pytest.mark.parametrize("mode", range(0o700, 0o1000))
def test_others_may_write_or_only_read_or_neither(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    directory.chmod(mode)
    others = (mode >> 3 | mode) & 0o7
    writable, readable = bool(others & 0o2), bool(others & 0o5)
    assert mode_of(directory) == mode
    assert (writable_by_others(directory) is not None) == writable
    assert (readable_by_others(directory) is not None) == (readable and not writable)


def test_a_directory_that_others_may_write_is_refused_with_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(StateError, match=rf"mode 0770.*chmod 700 {tmp_path}"):
        check_directory(tmp_path)
    tmp_path.chmod(0o750)
    check_directory(tmp_path)


def test_a_directory_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    check_directory(tmp_path / "none")
    assert readable_by_others(tmp_path / "none") is None
