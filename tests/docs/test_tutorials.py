"""The tutorials are followed from the first command to the last, with a browser where they open one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.browser import chromium
from support.markdown import Block, marked_blocks
from support.page_reader import Reader
from support.programs import require_programs

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
TUTORIALS = ("tutorial/django.md", "tutorial/fastapi.md")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_programs("bash", "curl")
    with chromium() as started:
        yield started


def blocks_of(name: str) -> list[Block]:
    return marked_blocks((DOCS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_steps_of_a_tutorial_do_what_it_says(name: str, browser: Browser, tmp_path: Path) -> None:
    with browser.new_context() as windows, contextlib.ExitStack() as background:
        reader = Reader(tmp_path, background, None, windows=windows)
        for block in blocks_of(name):
            reader.follow(block)


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_shows_what_comes_of_each_step(name: str) -> None:
    blocks = blocks_of(name)
    assert [block.verb for block in blocks if block.verb in ("see", "output", "part")]
    carried_out = {block.name for block in blocks if block.verb in ("run", "start", "open")}
    assert {
        block.name for block in blocks if block.verb in ("see", "unseen", "output", "part")
    } <= carried_out
