"""The shared secret of internal routes (R6.66)."""

import os
import stat
from pathlib import Path

import pytest

from tidewire.config import ConfigError, check_secret, shared_secret
from tidewire.config import secrets as module


def kept(path: Path, content: str = "from-file\n", mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def refused(secret_file: Path | None, directory: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        shared_secret(secret="", secret_file=secret_file, directory=directory)
    return str(caught.value)


def test_a_given_secret_counts_before_its_file_and_touches_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    assert shared_secret(secret="given", secret_file=tmp_path / "none", directory=directory) == "given"
    assert not directory.exists()


def test_the_secret_file_counts_before_the_kept_secret(tmp_path: Path) -> None:
    kept(tmp_path / "secret", "kept")
    file = kept(tmp_path / "mine")
    assert shared_secret(secret="", secret_file=file, directory=tmp_path) == "from-file"


def test_the_first_start_makes_a_secret_that_later_starts_read_back(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "state"
    old = os.umask(0)
    try:
        first = shared_secret(secret="", secret_file=None, directory=directory)
    finally:
        os.umask(old)
    assert len(first) == 43
    assert stat.S_IMODE((directory / "secret").stat().st_mode) == 0o600
    assert [path.name for path in directory.iterdir()] == ["secret"]
    assert shared_secret(secret="", secret_file=None, directory=directory) == first


def test_of_two_first_starts_at_once_one_secret_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process makes its secret between our look and our link."""

    def late(draft: Path, file: Path) -> None:
        kept(file, "theirs")
        link(draft, file)

    link = module._link
    monkeypatch.setattr(module, "_link", late)
    assert shared_secret(secret="", secret_file=None, directory=tmp_path) == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_secret_open_to_others_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    file = kept(tmp_path / "secret", mode=mode)
    for message in (refused(file, tmp_path), refused(None, tmp_path)):
        assert f"chmod 600 {file}" in message
        assert f"mode {mode:04o}" in message
        assert "from-file" not in message


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@as_root
def test_a_secret_of_somebody_else_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = kept(tmp_path / "secret")
    os.chown(file, 12345, -1)
    for message in (refused(file, tmp_path), refused(None, tmp_path)):
        assert f"chown USER {file}" in message
        assert "12345" in message
        assert "from-file" not in message
    with pytest.raises(ConfigError):
        check_secret(secret="", secret_file=file, directory=tmp_path)


@as_root
def test_root_may_check_for_the_user_who_has_the_state_directory(tmp_path: Path) -> None:
    file = kept(tmp_path / "secret")
    for path in (file, tmp_path):
        os.chown(path, 12345, -1)
    assert check_secret(secret="", secret_file=None, directory=tmp_path) == str(file)
    refused(None, tmp_path)  # but a server of root's own does not take it


@pytest.mark.parametrize("content", ["", " \n", "two words", "geheimnisträger"])
def test_a_file_without_one_plain_secret_is_refused_unshown(tmp_path: Path, content: str) -> None:
    message = refused(kept(tmp_path / "mine", content), tmp_path)
    assert "one secret of printable ASCII" in message
    assert not content.strip() or content not in message


def test_a_named_file_must_exist_and_is_not_made(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    blocker = kept(tmp_path / "file")
    assert "a directory in which the secret can be kept" in refused(None, blocker / "state")
