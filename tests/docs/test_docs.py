"""The reference pages name everything that there is, and nothing that isn't; every link leads somewhere."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tidewire
from support.console_visit import DOCUMENTED
from support.django_project import setup as _setup  # noqa: F401 - what Django has is imported like the rest
from support.markdown import anchors, headings, links, row_terms, section
from tidewire.cli.main import main
from tidewire.config.table import TABLE
from tidewire.console.routes import Console
from tidewire.core.delivery.processors import ALL_REFUSALS, PROCESSORS
from tidewire.core.notifications.candidates import NOTIFICATION_INPUTS, OLD_NAMES
from tidewire.core.notifications.triggers import EMAIL_TRIGGERS, PUSH_TRIGGERS
from tidewire.core.notifications.worker_records import queue_names
from tidewire.core.records import REASONS
from tidewire.http.app import all_routes
from tidewire.replay.player import STEPS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    if "_build" not in page.parts
)
MAX_PICTURE = 100_000
"""Bytes: a repository keeps every version of every picture for ever."""

METHODS = ("GET ", "POST ", "PUT ", "PATCH ", "DELETE ")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands() -> dict[str, click.Command]:
    context = click.Context(main)
    named = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in named.items() if command is not None}


def error_codes() -> dict[str, str]:
    """The code of every error class of the package."""
    for module in pkgutil.walk_packages(tidewire.__path__, "tidewire."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def with_descendants(kind: type[tidewire.TidewireError]) -> Iterator[type[tidewire.TidewireError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from with_descendants(child)

    return {
        kind.__name__: kind.code
        for kind in with_descendants(tidewire.TidewireError)
        if kind.__module__.partition(".")[0] == "tidewire"
    }


def option_names(command: click.Command) -> set[str]:
    """The options, and the arguments in capitals."""
    names: set[str] = set()
    for parameter in command.params:
        names |= {parameter.opts[0].upper()} if isinstance(parameter, click.Argument) else set(parameter.opts)
    return names


def documented_options(heading: str) -> set[str]:
    return {term.split()[0] for term in row_terms(section(page("reference/commands.md"), heading))}


def test_every_setting_has_its_heading() -> None:
    written = {text for text in headings(page("reference/settings.md")) if "." in text}

    assert written == {setting.name for setting in TABLE}


def test_every_route_and_method_is_in_the_http_api() -> None:
    text = page("reference/http-api.md")
    written = {term for term in (*headings(text), *row_terms(text)) if term.startswith(METHODS)}

    assert written == {f"{method} {path}" for path, methods in all_routes().items() for method in methods}


def test_what_the_readme_says_is_missing_is() -> None:
    """The paragraph names routes; when one is there, the paragraph has to go."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = re.search(r"^Not there yet.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert missing is not None
    named = set(re.findall(r"`(/api/[\w/]+)`", missing[0]))

    assert named
    assert named & set(all_routes()) == set()


def test_every_route_of_the_console_has_a_row() -> None:
    console = Console(
        new_secret=str, is_realm_host=bool, host="127.0.0.1", port=9800, session_lifetime=60
    ).table()
    served = {f"{method} {path}" for path, methods in console.items() for method in methods}
    written = {term for term in row_terms(page("reference/console.md")) if term.startswith(METHODS)}

    assert written == {name.replace(":path}", "}") for name in served}


def test_every_picture_is_there_and_shown() -> None:
    folder = ROOT / "docs" / "images" / "console"
    shown = set(re.findall(r"\(\.\./images/console/(\S+)\.png\)", page("howto/watch-in-the-console.md")))

    assert shown == DOCUMENTED == {picture.stem for picture in folder.iterdir()}
    assert {picture.name for picture in folder.iterdir() if picture.stat().st_size > MAX_PICTURE} == set()


def test_every_error_code_has_a_row() -> None:
    written = row_terms(page("reference/errors.md"))

    assert {name: code for name, code in error_codes().items() if code not in written} == {}


def test_every_command_has_its_heading() -> None:
    written = {text for text in headings(page("reference/commands.md")) if text.startswith("tidewire ")}

    assert written == {f"tidewire {name}" for name in commands()}


@pytest.mark.parametrize("name", commands())
def test_every_option_of_a_command_has_a_row(name: str) -> None:
    written = {term for term in documented_options(f"tidewire {name}") if "@" not in term}
    arguments = {term for term in written if not term.startswith("-") and term.isupper()}
    options = {term for term in written if term.startswith("-")}

    assert options | arguments == option_names(commands()[name])


def test_every_option_of_tidewire_itself_has_a_row() -> None:
    own = option_names(main) | {"-h", "--help"}

    assert documented_options("tidewire") == own


def test_every_refusal_has_a_row() -> None:
    assert row_terms(section(page("reference/events.md"), "Why an event is not delivered")) == set(
        ALL_REFUSALS
    )


def test_every_removal_reason_has_a_row() -> None:
    assert row_terms(section(page("reference/http-api.md"), "Why a queue ends")) == set(REASONS)


def test_every_type_with_a_processor_has_a_row() -> None:
    written = row_terms(page("reference/events.md")) | row_terms(page("reference/notices.md"))

    assert set(PROCESSORS) - written == set()


def test_every_notification_input_and_trigger_has_a_row() -> None:
    text = page("reference/notifications.md")
    inputs = NOTIFICATION_INPUTS - set(OLD_NAMES.values())
    triggers = {trigger for _, trigger in (*PUSH_TRIGGERS, *EMAIL_TRIGGERS)}

    assert row_terms(section(text, "What a message's notice says")) - {"true"} == inputs
    assert row_terms(section(text, "Triggers")) == triggers
    assert {name for name in OLD_NAMES.values() if f"`{name}`" not in text} == set()
    assert {name for name in queue_names(1) if f"`{name}`" not in text} == set()


def test_every_replay_step_has_a_row() -> None:
    assert row_terms(section(page("reference/replay-format.md"), "Steps")) == set(STEPS)


@pytest.mark.parametrize("name", PAGES, ids=str)
def test_every_link_leads_somewhere(name: Path) -> None:
    file = ROOT / name
    broken: list[str] = []
    for target in links(file.read_text(encoding="utf-8")):
        if target.startswith(("https:", "mailto:")):
            continue
        path, _, fragment = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        if not linked.is_file() or (fragment and fragment not in anchors(linked.read_text(encoding="utf-8"))):
            broken.append(target)

    assert broken == []


def test_every_page_is_in_a_table_of_contents() -> None:
    index = page("index.md")
    listed = {line.strip() for line in index.splitlines()}
    names = {str(path.relative_to("docs").with_suffix("")) for path in PAGES if path.parts[0] == "docs"}

    assert names - {"index"} - listed == set()
