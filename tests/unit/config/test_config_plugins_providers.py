"""The state providers that `state.modules` names."""

from pathlib import Path

import pytest

from tidewire.config.checks import ConfigError
from tidewire.config.plugins import load_providers

MODULE = """
from tidewire.initial_state import Provider

def nothing(asked):
    return {}

ONE = Provider(fetch_type="one", read=nothing)
TWO = [Provider(fetch_type="two", read=nothing), Provider(fetch_type="three", read=nothing)]
AGAIN = ONE
NUMBER = 7
CLASS = Provider

def made():
    return TWO

def broken():
    raise RuntimeError("no")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    name = f"providers_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return tmp_path


def load(folder: Path, *names: str) -> list[str]:
    module = next(folder.glob("providers_of_*.py")).stem
    found = load_providers([f"{module}:{name}" for name in names], directory=folder)
    return [provider.fetch_type for provider in found]


def test_a_name_stands_for_a_provider_a_list_or_a_function(folder: Path) -> None:
    assert load(folder, "ONE", "TWO") == ["one", "two", "three"]
    assert load(folder, "made") == ["two", "three"]
    assert load(folder) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("NUMBER", "a value of type int"),
        ("CLASS", "calling it raised TypeError"),
        ("broken", "calling it raised RuntimeError: no"),
        ("MISSING", "no 'MISSING' there"),
    ],
)
def test_what_is_no_provider_is_named(folder: Path, name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"state\.modules") as raised:
        load(folder, name)
    assert problem in str(raised.value)


def test_two_for_one_type_are_one_too_many(folder: Path) -> None:
    with pytest.raises(ConfigError, match="a second one for 'one'"):
        load(folder, "ONE", "AGAIN")
