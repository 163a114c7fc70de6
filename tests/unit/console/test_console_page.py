"""The page's own files: what the policy forbids is not in them, colours can be read, libraries are as they came."""

import hashlib
import re
from itertools import product
from pathlib import Path

import pytest

from tidewire import console as package
from tidewire.console import labels
from tidewire.core.delivery.processors import ALL_REFUSALS
from tidewire.core.history.history import StepKind
from tidewire.core.inspection.dry_run import OUTCOMES
from tidewire.core.inspection.explain import STATES
from tidewire.core.inspection.overview import COUNTED
from tidewire.core.records import REASONS

FOLDER = Path(package.__file__).parent
PAGE = FOLDER / "page"
VENDOR = FOLDER / "vendor"
SOURCES = sorted(PAGE.glob("*.js"))
MAX_LINES = 350

TEXT_CONTRAST = 4.5
"""WCAG 2.2, level AA, of text of the usual size; and of what is no text, such as the edge of a field."""
OTHER_CONTRAST = 3.0

Colours = dict[str, str]


def text(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


# Words.


def test_everything_that_can_happen_has_words() -> None:
    assert set(labels.REFUSALS) == set(ALL_REFUSALS)
    assert set(labels.STEPS) == {what.name.lower() for what in StepKind}
    assert set(labels.REASONS) == set(REASONS)
    assert set(labels.OUTCOMES) == set(OUTCOMES)


def test_every_state_of_a_story_has_words() -> None:
    in_page = re.search(r"const STORIES = \{(.*?)\};", text("queue.js"), re.DOTALL)
    assert in_page
    named = set(re.findall(r"^  (\w+):", in_page[1], re.MULTILINE))
    assert named | (set(labels.STATES) & set(STATES)) == set(STATES)


def test_every_refusal_names_its_rule() -> None:
    assert {
        name for name, meant in labels.REFUSALS.items() if not re.match(r"R\d+\.\d+", meant.rule)
    } == set()


def test_the_page_reads_totals_that_there_are() -> None:
    named = set(re.findall(r"pulse\.totals\.(\w+)", text("live.js") + text("overview.js")))
    assert named
    assert named <= set(COUNTED)


# What the policy forbids.


def test_nothing_is_inline() -> None:
    page = text("index.html")
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert "<style" not in page
    for source in (page, *(text(file.name) for file in SOURCES)):
        assert re.findall(r"\s(?:style|on\w+)=", source) == []


@pytest.mark.parametrize("name", [file.name for file in SOURCES])
def test_no_text_becomes_code_and_nothing_is_asked_of_others(name: str) -> None:
    source = text(name)
    assert (
        re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|unsafeHTML", source)
        == []
    )
    assert re.findall(r"https?://[a-z]", source) == []


@pytest.mark.parametrize("name", [file.name for file in PAGE.iterdir() if file.suffix in {".js", ".html"}])
def test_files_are_short(name: str) -> None:
    assert len(text(name).splitlines()) <= MAX_LINES


# Libraries.


def test_the_libraries_are_as_they_came() -> None:
    readme = (VENDOR / "README.md").read_text(encoding="utf-8")
    written = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", readme, re.MULTILINE)}
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.iterdir()
        if file.name != "README.md"
    }
    assert written == found


def test_each_library_has_its_licence_beside_it() -> None:
    for file in VENDOR.glob("*.js"):
        licence = file.with_suffix(".LICENSE").read_text(encoding="utf-8")
        assert "Copyright (c)" in licence
        assert "THE SOFTWARE IS PROVIDED" in licence or "THIS SOFTWARE IS PROVIDED" in licence


# Colours.


def themes() -> dict[str, Colours]:
    """The colours of both themes, by name."""
    blocks = dict(
        re.findall(
            r'^(:root(?:\[data-theme="dark"\])?) \{(.*?)^\}', text("colours.css"), re.MULTILINE | re.DOTALL
        )
    )
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[":root"]))
    dark = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[':root[data-theme="dark"]']))
    assert light
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_it_is_defined() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


GROUNDS = ("bg", "surface", "raised")
TEXTS = (
    *product(("text", "muted", "accent"), GROUNDS),
    ("text", "accent-soft"),
    ("on-accent", "accent"),
    *((tone, f"{tone}-soft") for tone in ("accent", "good", "warn", "bad")),
    *product(("good", "warn", "bad"), ("surface",)),
)
OTHERS = (
    *product(("control", "accent"), ("bg", "surface")),
    *product(("good", "warn", "bad"), ("surface", "bg")),
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(theme: str) -> None:
    colours = themes()[theme]
    ratios = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in TEXTS}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < TEXT_CONTRAST} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_of_fields_focus_and_lines_can_be_seen(theme: str) -> None:
    colours = themes()[theme]
    ratios = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in OTHERS}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < OTHER_CONTRAST} == {}


def test_colours_are_named_and_not_written_out() -> None:
    for sheet in PAGE.glob("*.css"):
        rules = re.sub(r"^:root.*?^\}", "", text(sheet.name), flags=re.MULTILINE | re.DOTALL)
        assert (
            re.findall(r"#[0-9a-fA-F]{3,8}\b(?! \w)", re.sub(r"/\*.*?\*/", "", rules, flags=re.DOTALL)) == []
        )
