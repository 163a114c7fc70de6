"""The reference page is what the table says."""

import re
from pathlib import Path

from reference.settings import render
from tidewire.config.table import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_committed_page_is_the_generated_one() -> None:
    """When this fails: make reference."""
    assert PAGE.read_text() == render()


def test_each_setting_has_its_heading_in_the_order_of_the_table() -> None:
    assert re.findall(r"^### (.+)$", render(), re.MULTILINE) == [setting.name for setting in TABLE]


def test_each_entry_says_what_the_table_says() -> None:
    entries = render().split("\n### ")[1:]
    for setting, entry in zip(TABLE, entries, strict=True):
        assert setting.meaning in entry
        assert f"- Type: {setting.kind.expected}" in entry
