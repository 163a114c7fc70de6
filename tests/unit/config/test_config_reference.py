"""The reference page is what the table says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tidewire.config.reference import render
from tidewire.config.table import TABLE

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_the_committed_page_is_the_generated_one() -> None:
    """When this fails: python -m tidewire.config.reference > docs/reference/settings.md."""
    assert PAGE.read_text() == render()


def test_each_setting_has_its_heading_in_the_order_of_the_table() -> None:
    assert re.findall(r"^### (.+)$", render(), re.MULTILINE) == [setting.name for setting in TABLE]


def test_each_entry_says_what_the_table_says() -> None:
    entries = render().split("\n### ")[1:]
    for setting, entry in zip(TABLE, entries, strict=True):
        assert setting.meaning in entry
        assert f"- Type: {setting.kind.expected}" in entry


@pytest.mark.slow
def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-m", "tidewire.config.reference"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own module
    assert done.stdout == render()
