"""The rules that the source must keep, read from the source (`pyproject.toml` has the import contracts)."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "tidewire"
FILES = sorted(SRC.rglob("*.py"))
MAX_FUNCTION = 60

MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_TYPES = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "WeakSet"}
)


NOUNS = frozenset(
    {
        "blocking",
        "coalescing",
        "decoding",
        "encoding",
        "forwarding",
        "interning",
        "loading",
        "notice_encoding",
        "parsing",
        "pending",
        "polling",
        "routing",
        "setting",
        "sharding",
        "testing",
        "timing",
        "tracing",
        "typing",
    }
)
"""Words in -ing that are terms of the field, and no gerund that says what somebody does."""

IN_SEVERAL_LAYERS = frozenset(
    {
        "__init__",
        "auth",  # what the server asks; what it is given
        "engine",  # what it is; what it asks of the outside
        "errors",
        "outbox",  # in the state; over HTTP
        "publish",  # over HTTP; the command
        "recovery",  # of the state; of a shard; from the disk
        "security",  # of the server's routes; of the console's
        "server",  # the real one; that of tests, whose import path is documented
        "shards",  # their settings; their routes
        "snapshots",  # when they are taken; on the disk
        "state",  # a shard's; how the initial one is put together
    }
)
"""Names of modules that are one thing in several layers."""


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


@pytest.fixture(params=FILES, ids=name_of)
def source(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def assigned_values(tree: ast.Module) -> Iterator[ast.expr]:
    """What modules and classes assign in their bodies, which lives as long as the process; `__all__` is no state."""
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for statement in (statement for body in bodies for statement in body):
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            continue
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
            yield statement.value


def test_the_source_is_found() -> None:
    assert len(FILES) > 40


@pytest.mark.parametrize(
    "path", [*(SRC / "core").rglob("*.py"), *(SRC / "engine").rglob("*.py")], ids=name_of
)
def test_core_and_engine_never_wait(path: Path) -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, waits)]


def test_no_module_or_class_holds_anything_that_changes(source: Path) -> None:
    for value in assigned_values(parsed(source)):
        assert not isinstance(value, MUTABLE_DISPLAYS), f"line {value.lineno}: wrap it, or make it a tuple"
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            assert value.func.id not in MUTABLE_TYPES, f"line {value.lineno}"


def test_nothing_is_global(source: Path) -> None:
    assert not [node.lineno for node in ast.walk(parsed(source)) if isinstance(node, ast.Global)]


def test_the_root_has_packages_only() -> None:
    assert sorted(path.name for path in SRC.glob("*.py")) == ["__init__.py", "__main__.py"]


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in FILES} - {SRC / "contrib" / "django" / "migrations"}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_module_is_named_by_a_gerund(source: Path) -> None:
    """A module is a thing of the field; words in -ing that name one are in `NOUNS`."""
    for part in source.relative_to(SRC).with_suffix("").parts:
        assert not part.endswith("ing") or part in NOUNS


def test_no_two_modules_have_one_name() -> None:
    """Unless they are one thing in two layers; then the name is in `IN_SEVERAL_LAYERS`."""
    # Names in an application of Django are Django's, and a processor has the name of its event type.
    free = [path for path in FILES if not {"django", "processors"} & set(path.relative_to(SRC).parts)]
    names = Counter(path.stem for path in free)
    twice = {name for name, count in names.items() if count > 1}
    assert twice == IN_SEVERAL_LAYERS


def test_imports_stand_at_the_top(source: Path) -> None:
    inside = [
        node.lineno
        for function in functions(parsed(source))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside


def test_imports_for_annotations_are_plain(source: Path) -> None:
    names = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Name | ast.alias)]
    assert "TYPE_CHECKING" not in {node.id if isinstance(node, ast.Name) else node.name for node in names}


def test_functions_are_short(source: Path) -> None:
    long = {
        function.name: function.end_lineno - function.lineno + 1
        for function in functions(parsed(source))
        if function.end_lineno is not None and function.end_lineno - function.lineno >= MAX_FUNCTION
    }
    assert not long


def test_every_file_says_what_it_is_for(source: Path) -> None:
    assert ast.get_docstring(parsed(source))


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["tidewire.core.shard", "tidewire.core.delivery.processors", "tidewire.engine.engine"]
)
def test_the_core_loads_no_loop_and_no_server(module: str) -> None:
    foreign = ("asyncio", "starlette", "uvicorn", "structlog", "click", "socket", "ssl")
    program = f"import sys, {module}; print([name for name in {foreign!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    assert answer.stdout.strip() == "[]"


@pytest.mark.slow
def test_each_module_of_the_core_can_be_imported_first() -> None:
    names = [
        "tidewire." + name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in sorted((SRC / "core").rglob("*.py"))
    ]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    for loaded in [each for each in sys.modules if each.startswith('tidewire')]:\n"
        "        del sys.modules[loaded]\n"
    )
    subprocess.run([sys.executable, "-c", program, *names], capture_output=True, check=True)  # noqa: S603 - our own words


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and text of each docstring, those below assignments included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    text = statement.value.value
                    if isinstance(text, str):
                        yield statement.lineno, text.strip()


def test_docstrings_stand_alone(source: Path) -> None:
    """A reader learns what a thing does where it is, not somewhere else."""
    elsewhere = ("See ", "The same", "As `")
    assert [line for line, text in docstrings(parsed(source)) if text.startswith(elsewhere)] == []


def test_no_docstring_repeats_the_name(source: Path) -> None:
    """A docstring that has no word beside those of the name says nothing."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            said = set(re.findall(r"[a-z]+", (ast.get_docstring(node) or "").lower()))
            name = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower()))
            assert not said or said - name - {"a", "an", "the", "it", "s"}, f"line {node.lineno}: {node.name}"


def test_nothing_cites_a_tracker(source: Path) -> None:
    assert not re.search(r"\bissue \d", source.read_text(encoding="utf-8"))
