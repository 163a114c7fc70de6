"""Merge rules named by `queues.rules`: found in the working directory or installed, else one line says what to do."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidewire.cli.main import main
from tidewire.config import ConfigError
from tidewire.config.plugins import load_rules
from tidewire.core.events.coalescing import LatestByKey

GOOD = """
from tidewire.core.merge_rules import LatestByKey

RULES = {"status": LatestByKey(key_fields=("user_id",))}

def make():
    return RULES

def fail():
    raise OSError("no\\nsuch thing")

NUMBER = 7
CLASS = {"status": LatestByKey}
OTHER = {"status": 7}
KIND = {1: RULES["status"]}
EMPTY = {"": RULES["status"]}
BUILTIN = {"update_message_flags": RULES["status"]}
"""


@pytest.fixture
def module(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working directory; its name is used once, for what is imported stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "unused", raising=False)
    name = f"rules_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(GOOD)
    (tmp_path / f"{name}_broken.py").write_text("import nothing_of_this_name\n")
    return name


@pytest.mark.parametrize("name", ["RULES", "make"])
def test_a_mapping_and_a_function_that_gives_one_are_taken(module: str, name: str) -> None:
    path = list(sys.path)
    assert load_rules(f"{module}:{name}") == {"status": LatestByKey(key_fields=("user_id",))}
    assert sys.path == path


def test_no_name_is_no_rules() -> None:
    assert load_rules("") == {}


def test_an_installed_module_comes_before_one_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("RULES = {}\n")
    with pytest.raises(ConfigError, match="no 'RULES' there; expected a name in"):
        load_rules("json:RULES", directory=tmp_path)


PROBLEMS = [
    ("{}:NOTHING", "no 'NOTHING' there; expected a name in"),
    ("no_such_{}:RULES", "found no module 'no_such_"),
    ("no_such_{}.inner:RULES", "found no module 'no_such_"),
    ("{}_broken:RULES", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    ("{}:NUMBER", "found a value of type int; expected a mapping from event type to merge rule"),
    ("{}:fail", "calling it raised OSError: no such thing"),
    ("{}:CLASS", "the class itself for 'status'; expected a rule made of it, LatestByKey(...)"),
    ("{}:OTHER", "int without key for 'status'"),
    ("{}:KIND", "the type 1"),
    ("{}:EMPTY", "the type ''"),
    ("{}:BUILTIN", "'update_message_flags' has a built-in merge rule"),
    ("{}", "module:NAME"),
    ("{}:", "module:NAME"),
    (":{}", "module:NAME"),
    ("{}:a.b", "module:NAME"),
]


@pytest.mark.parametrize(("name", "words"), PROBLEMS)
def test_what_is_wrong_is_said_in_one_line_with_code_2(
    module: str, name: str, words: str, tmp_path: Path
) -> None:
    scenario = tmp_path / "empty.json"
    scenario.write_text('{"steps": []}')
    given = name.format(module)
    result = CliRunner().invoke(main, ["replay", "--set", f"queues.rules={given}", str(scenario)])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert "queues.rules" in line


def test_the_flag_stands_for_the_setting(module: str, tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.write_text("")
    result = CliRunner().invoke(main, ["serve", "--port", "29999", "--rules", f"{module}:NUMBER"])
    assert result.exit_code == 2
    assert "queues.rules: found a value of type int" in result.stderr
