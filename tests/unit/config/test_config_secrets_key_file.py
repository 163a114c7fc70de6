"""A key in a file of its own."""

from pathlib import Path

import pytest

from tidewire.config import ConfigError
from tidewire.config.secrets import read_key


def key_file(path: Path, content: bytes = b" key \n", mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400])
def test_a_key_is_read_without_what_is_around_it(tmp_path: Path, mode: int) -> None:
    assert read_key(key_file(tmp_path / "key", mode=mode), "auth.jwt_key_file") == "key"


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_one_that_others_can_write_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path / "key", mode=mode)
    with pytest.raises(ConfigError) as caught:
        read_key(file, "auth.jwt_key_file")
    assert f"chmod go-w {file}" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff"])
def test_one_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"auth\.jwt_key_file"):
        read_key(key_file(tmp_path / "key", content), "auth.jwt_key_file")
    with pytest.raises(ConfigError, match="no such file"):
        read_key(tmp_path / "none", "auth.jwt_key_file")
