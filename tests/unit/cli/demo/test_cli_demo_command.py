"""`tidewire serve` and `demo`: what they make of their options, before anything listens."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from tidewire.auth import UsersFileAuthenticator
from tidewire.cli import serve as serve_module
from tidewire.cli.demo import demo_command as demo_module
from tidewire.cli.main import main
from tidewire.config import Settings
from tidewire.core.notices.notice import decode_notice

DEMO_USERS = Path(demo_module.__file__).with_name("demo_users.toml")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


Taken = dict[str, Any]


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Runs a command whose server is replaced, and returns the settings that it was given."""
    taken: list[Settings] = []

    def run(settings: Settings, **_: Any) -> None:
        # Read while the command still has what it made for the server.
        UsersFileAuthenticator(path=settings.auth.users_file) if settings.auth.users_file.exists() else None
        taken.append(settings)

    monkeypatch.setattr(serve_module, "run", run)
    monkeypatch.setattr(demo_module, "run", run)

    def invoke(*arguments: str) -> Settings:
        result: Result = CliRunner().invoke(main, arguments, prog_name="tidewire")
        assert result.exit_code == 0, result.output
        return taken[-1]

    return invoke


def test_flags_win_over_set_environment_and_file(
    settings_of: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tidewire.toml").write_text(
        "[server]\nport = 1001\nhost = '127.0.0.2'\n[log]\nlevel = 'debug'\n"
    )
    assert settings_of("serve").server.port == 1001
    monkeypatch.setenv("TIDEWIRE_SERVER__PORT", "1002")
    assert settings_of("serve").server.port == 1002
    assert settings_of("serve", "--set", "server.port=1003").server.port == 1003
    settings = settings_of("serve", "--set", "server.port=1003", "--port", "1004")
    assert (settings.server.port, settings.server.host, settings.log.level) == (1004, "127.0.0.2", "debug")


def test_a_file_that_is_named_replaces_the_usual_one(
    settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "tidewire.toml").write_text("[server]\nport = 1001\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "other.toml").write_text("[storage]\ndirectory = 'kept'\n")
    settings = settings_of("serve", "--config", "other/other.toml")
    assert settings.server.port == 9800
    assert settings.storage.directory == tmp_path / "other" / "kept"


@pytest.mark.parametrize("name", ["state", "with space", "a=b", "[x]", '"q"', "ü", "#1"])
def test_the_state_directory_is_taken_as_it_is_from_where_the_command_is_given(
    settings_of: Callable[..., Settings], tmp_path: Path, name: str
) -> None:
    """Not from where the configuration file is, which the file's own paths start from."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "tidewire.toml").write_text("")
    arguments = ("serve", "--config", "conf/tidewire.toml", "--state-dir", name)
    assert settings_of(*arguments).storage.directory == tmp_path / name


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0"])  # noqa: S104 - nothing listens
def test_the_host_is_taken_as_it_is(settings_of: Callable[..., Settings], host: str) -> None:
    assert settings_of("serve", "--host", host).server.host == host


def test_the_demo_has_its_own_realm_and_throws_its_state_away(
    settings_of: Callable[..., Settings],
) -> None:
    settings = settings_of("demo")
    assert (settings.server.port, settings.server.secret) == (9800, "demo-secret")
    assert not settings.storage.directory.exists()


def test_the_demo_can_keep_its_state_and_move(settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    settings = settings_of("demo", "--port", "9900", "--state-dir", "kept")
    assert (settings.server.port, settings.storage.directory) == (9900, tmp_path / "kept")


def test_the_demo_listens_on_loopback_only_whatever_the_settings_say(
    settings_of: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secret and keys are printed for everybody."""
    (tmp_path / "tidewire.toml").write_text("[server]\nhost = '0.0.0.0'\n")
    assert settings_of("demo").server.host == "127.0.0.1"
    monkeypatch.setenv("TIDEWIRE_SERVER__HOST", "0.0.0.0")  # noqa: S104 - nothing listens
    assert settings_of("demo").server.host == "127.0.0.1"


def test_the_demos_users_are_those_that_are_promised() -> None:
    """As the contract of the commands has them."""
    users = UsersFileAuthenticator(path=DEMO_USERS).users()
    assert [(user.id, user.email, user.role.value) for user in users] == [
        (1, "ada@demo.example", "owner"),
        (2, "bob@demo.example", "member"),
        (3, "gil@demo.example", "guest"),
        (4, "botty@demo.example", "bot"),
    ]
    assert re.findall(r'api_key = "(.)\1{31}"', DEMO_USERS.read_text()) == ["a", "b", "g", "t"]


def test_the_demos_traffic_is_made_of_valid_notices() -> None:
    traffic = demo_module._traffic(demo_module._board(DEMO_USERS))
    for _ in range(10):
        notice = decode_notice(msgspec.json.encode(next(traffic)))
        assert notice.users


def test_the_demos_text_can_be_pasted() -> None:
    guide = demo_module._guide("http://127.0.0.1:9900")
    assert f"tail --url http://127.0.0.1:9900 --email ada@demo.example --key {'a' * 32}" in guide
    assert "publish --url http://127.0.0.1:9900 --secret demo-secret -" in guide
