"""Loading: precedence, paths, and every problem of every source in one error."""

import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire import TidewireError
from tidewire.config import ConfigError, Problem, Settings, load
from tidewire.config.setting import Setting
from tidewire.config.table import BY_NAME, TABLE

HERE = Path("/somewhere")


def written(folder: Path, text: str) -> Path:
    file = folder / "tidewire.toml"
    file.write_text(text)
    return file


def settings(*overrides: str, **environ: str) -> Settings:
    return load(file=None, environ=environ, overrides=overrides, working_directory=HERE)


def problems(file: Path | None, *overrides: str, **environ: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(file=file, environ=environ, overrides=overrides, working_directory=HERE)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return caught.value.problems


def test_without_any_source_the_defaults_hold() -> None:
    loaded = settings()
    assert loaded.server.port == 9800
    assert loaded.server.internal_from == (ip_network("127.0.0.0/8"), ip_network("::1"))
    assert loaded.server.secret_file is None
    assert loaded.storage.directory == HERE / "state"
    assert loaded.queues.memory_budget == "auto"


LAYERED = ("queues.idle_timeout", "server.port", "server.host", "log.level", "server.cors_origins")
VALUES = {
    "queues.idle_timeout": st.integers(60, 604_800),
    "server.port": st.integers(1, 65535),
    "server.host": st.from_regex(r"[a-z0-9.]+", fullmatch=True),
    "log.level": st.sampled_from(["debug", "info", "warning", "error"]),
    "server.cors_origins": st.lists(st.just("*") | st.just("https://a.example")),
}


@given(data=st.data(), name=st.sampled_from(LAYERED))
def test_overrides_win_over_environment_over_file_over_defaults(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    setting = BY_NAME[name]
    in_file, in_environment, on_the_line = (data.draw(st.none() | VALUES[name]) for _ in range(3))
    file = None
    if in_file is not None:
        line = f"[{setting.section}]\n{setting.key} = {json.dumps(in_file)}"
        file = written(tmp_path_factory.getbasetemp(), line)
    environ = {} if in_environment is None else {setting.environment_name: json.dumps(in_environment)}
    overrides = [] if on_the_line is None else [f"{name}={json.dumps(on_the_line)}"]
    loaded = load(file=file, environ=environ, overrides=overrides, working_directory=HERE)
    expected = next(
        (value for value in (on_the_line, in_environment, in_file) if value is not None), setting.default
    )
    assert getattr(getattr(loaded, setting.section), setting.key) == setting.kind.fit(expected)


def test_of_two_overrides_the_later_one_counts() -> None:
    assert settings("server.port=1", "server.port=2").server.port == 2


def test_an_override_keeps_what_follows_its_first_equals_sign() -> None:
    assert settings("server.secret=a=b").server.secret == "a=b"


@pytest.mark.parametrize(
    "key", ["auth.users_file", "storage.directory", "server.secret_file", "shards.map_file"]
)
def test_relative_paths_start_from_the_files_folder(tmp_path: Path, key: str) -> None:
    section, _, name = key.partition(".")
    file = written(tmp_path, f'[{section}]\n{name} = "sub/x"')
    loaded = load(file=file, environ={}, working_directory=HERE)
    assert getattr(getattr(loaded, section), name) == tmp_path / "sub/x"


def test_without_a_file_relative_paths_start_from_the_working_directory() -> None:
    assert settings("server.secret_file=s").server.secret_file == HERE / "s"
    assert settings("server.secret_file=/s").server.secret_file == Path("/s")


def test_a_file_named_relative_to_the_working_directory_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    written(tmp_path / "etc", "")
    monkeypatch.chdir(tmp_path)
    loaded = load(file=Path("etc/tidewire.toml"), environ={})
    assert loaded.auth.users_file == tmp_path / "etc/users.toml"


def test_all_problems_of_all_sources_are_reported_together(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nport = 70000\nprot = 1\n[quues]\nx = 1\n[log]\nlevel = "loud"\n')
    found = problems(file, "queues.idle_timeout=soon", TIDEWIRE_LOG__FORMAT="xml")
    assert [(p.source, p.key) for p in found] == [
        (str(file), "server.port"),
        (str(file), "server.prot"),
        (str(file), "quues"),
        (str(file), "log.level"),
        ("TIDEWIRE_LOG__FORMAT", "log.format"),
        ("--set", "queues.idle_timeout"),
    ]
    port, prot, quues, level, *_ = map(str, found)
    assert port == f"{file}: server.port: found 70000; expected a whole number from 1 to 65535"
    assert prot.endswith("expected server.port (did you mean that?)")
    assert quues.endswith("expected [queues] (did you mean that?)")
    assert level.endswith('found "loud"; expected "debug" or "info" or "warning" or "error"')


def test_the_error_is_one_of_tidewires() -> None:
    with pytest.raises(TidewireError) as caught:
        settings("server.port=0")
    assert caught.value.code == "CONFIG_INVALID"


@pytest.mark.parametrize(
    ("content", "key", "expected"),
    [
        ("port = 1", "port", "server.port (did you mean that?)"),
        ("server = 1", "server", "a table: [server]"),
        ("[[server]]\nport = 1", "server", "a table: [server]"),
        ("[sever]", "sever", "[server] (did you mean that?)"),
        ("[xyzzy]", "xyzzy", "one of [server], [auth]"),
        ("[server]\nxyzzy = 1", "server.xyzzy", "one of server.host, server.port"),
        ("[server]\nidle_timeout = 1", "server.idle_timeout", "queues.idle_timeout (did you mean that?)"),
    ],
)
def test_an_unknown_name_in_the_file_says_what_was_probably_meant(
    tmp_path: Path, content: str, key: str, expected: str
) -> None:
    (problem,) = problems(written(tmp_path, content))
    assert problem.key == key
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(
    "content", [b"[server", b"\xff", b"a = " + b"[" * 5000, b"a = " + b"9" * 5000], ids=range(4)
)
def test_a_file_that_is_no_toml_is_one_problem_beside_the_others(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tidewire.toml"
    file.write_bytes(content)
    first, second = problems(file, "server.port=0")
    assert (first.source, first.key) == (str(file), "")
    assert second.key == "server.port"


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "none.toml")
    assert problem.found == "no such file or directory"


def test_an_unknown_environment_name_says_what_was_probably_meant() -> None:
    (problem,) = problems(None, TIDEWIRE_SERVER__PROT="1")
    assert problem.source == "TIDEWIRE_SERVER__PROT"
    assert problem.expected.startswith("TIDEWIRE_SERVER__PORT")
    (problem,) = problems(None, TIDEWIRE_X__Y="1")
    assert "known setting" in problem.expected


def test_one_underscore_too_few_is_noticed() -> None:
    (problem,) = problems(None, TIDEWIRE_SERVER_PORT="1")
    assert problem.expected.startswith("TIDEWIRE_SERVER__PORT")


def test_the_names_that_a_container_platform_makes_are_left_alone() -> None:
    loaded = settings(
        TIDEWIRE_SERVER_PORT="tcp://10.0.0.1:9800", TIDEWIRE_SERVICE_HOST="10.0.0.1", TIDEWIRE_PORT="tcp://x"
    )
    assert loaded.server.port == 9800


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("server.port", "", "section.key=value"),
        ("server.prot=1", "server.prot", "server.port (did you mean that?)"),
        ("=1", "", "section.key=value of a known setting"),
    ],
)
def test_an_override_that_names_no_setting_says_so(override: str, key: str, expected: str) -> None:
    (problem,) = problems(None, override)
    assert (problem.source, problem.key, problem.expected) == ("--set", key, expected)


@pytest.mark.parametrize(
    ("overrides", "key", "expected"),
    [
        (["queues.heartbeat_min=56"], "queues.heartbeat_min", "at most queues.heartbeat_max, which is 55"),
        (["queues.heartbeat_max=44"], "queues.heartbeat_min", "at most queues.heartbeat_max, which is 44"),
        (
            ["queues.min_idle_timeout=700000", "queues.idle_timeout=700001"],
            "queues.min_idle_timeout",
            "at most queues.max_idle_timeout, which is 604800",
        ),
        (["queues.idle_timeout=59"], "queues.idle_timeout", "at least queues.min_idle_timeout, which is 60"),
        (
            ["queues.max_idle_timeout=599"],
            "queues.idle_timeout",
            "at most queues.max_idle_timeout, which is 599",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_a_problem(
    overrides: list[str], key: str, expected: str
) -> None:
    found = problems(None, *overrides)
    assert (found[0].source, found[0].key, found[0].expected) == ("--set", key, expected)


def test_an_idle_bound_of_zero_is_none() -> None:
    loaded = settings("queues.max_idle_timeout=0", "queues.min_idle_timeout=0", "queues.idle_timeout=9999999")
    assert loaded.queues.max_idle_timeout == 0


def test_a_wrong_value_is_not_compared_with_others() -> None:
    (problem,) = problems(None, "queues.heartbeat_max=100")  # R6.46: polls end well before 90 s
    assert problem.expected == "a whole number from 1 to 85"


@pytest.mark.parametrize(
    "url", ["amqp:/user:hunter2@host", "redis://user:hunter2@host", "amqp://hunter2 host"]
)
def test_another_bus_is_refused_and_no_password_is_shown(url: str) -> None:
    (problem,) = problems(None, f"bus.url={url}")
    assert "amqp://user:password@host:5672/vhost" in problem.expected
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "url", ["memory:", "amqp://host", "amqp://user:hunter2@host:5672/", "amqps://user:hunter2@[::1]:5671/%2f"]
)
def test_the_embedded_bus_and_brokers_are_accepted(url: str) -> None:
    assert settings(f"bus.url={url}").bus.url == url
    assert "hunter2" not in repr(settings(f"bus.url={url}"))


@pytest.mark.parametrize("setting", [s for s in TABLE if s.private], ids=lambda setting: setting.name)
def test_private_values_are_never_shown(tmp_path: Path, setting: Setting) -> None:
    file = written(tmp_path, f'[{setting.section}]\n{setting.key} = ["hunter2"]')
    (problem,) = problems(file)
    assert "hunter2" not in str(problem)
    assert "hunter2" not in repr(settings("server.secret=hunter2", "compat.avatar_salt=hunter2"))


@pytest.mark.parametrize(
    "override",
    [
        "server.internal_from=localhost",
        "server.trusted_proxies=10.0.0.1/8",
        "server.cors_origins=chat.example",
        "server.secret=two words",
        "server.host=",
        "auth.users_file=",
        "storage.durability=disk",
        "shards.wrong_shard=drop",
        "compat.legacy_bad_queue_text=sometimes",
        "compat.feature_level=492",
        "compat.version=",
        "compat.narrow_hears_public_channels=1",
        "queues.memory_budget=half",
        "queues.answer_max_bytes=0",
        "limits.header_deadline=-1",
        "log.format=JSON",
    ],
)
def test_a_value_that_does_not_fit_is_a_problem(override: str) -> None:
    (problem,) = problems(None, override)
    assert problem.key == override.partition("=")[0]


def test_a_program_may_have_other_defaults_which_everything_else_replaces(tmp_path: Path) -> None:
    file = written(tmp_path, "[server]\nport = 9900\n")
    usual = {"server.port": 8000, "server.secret": "of-the-program"}
    loaded = load(file=file, environ={}, defaults=usual)
    assert (loaded.server.port, loaded.server.secret) == (9900, "of-the-program")
