"""The FastAPI example: two windows, a server that is killed, and its races."""

import contextlib
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from support.browser import chromium
from support.demo_server import clean_environment, free_port, running
from support.stopwatch import Stopwatch
from support.waiting import eventually
from tidewire.testing.races import RaceChecker, RaceFound
from tidewire.testing.server import TidewireServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_dashboard"
sys.path.insert(0, str(EXAMPLE))

from deployments import APPLY, Deployments, Publishes  # noqa: E402 - an example is no package

VIEWERS = [1]


class TellsFirst(Deployments):
    """The same with a planted race."""

    async def put(self, number: int, state: str) -> None:
        """Tells, then changes."""
        deployment = {"number": number, "state": state}
        event = {"type": "deployment", "deployment": deployment}
        await self._publisher.send_event(event=event, users=self._viewers)
        self._table[str(number)] = deployment


class Later:
    """A publisher that is there after those who use it."""

    def __init__(self) -> None:
        self.publisher: Publishes | None = None

    async def send_event(self, *, event: Mapping[str, Any], users: Sequence[int]) -> None:
        """Passes it on."""
        assert self.publisher is not None
        await self.publisher.send_event(event=event, users=users)


async def check(kind: type[Deployments]) -> list[dict[str, Any]]:
    later = Later()
    deployments = kind(later, VIEWERS)
    checker = RaceChecker(read=deployments.read, apply=APPLY, user=1)
    later.publisher = checker.async_publisher
    await deployments.put(1, "started")
    await checker.check_async(lambda: deployments.put(2, "started"))
    return await checker.check_async(lambda: deployments.put(1, "done"))


async def test_registrations_at_every_moment_of_a_change_see_it() -> None:
    events = await check(Deployments)
    assert events == [{"type": "deployment", "deployment": {"number": 1, "state": "done"}}]


async def test_a_planted_race_is_found_within_a_second() -> None:
    watch = Stopwatch()
    with pytest.raises(RaceFound, match="deployments"):
        await check(TellsFirst)
    assert watch.seconds < 1


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def dashboard(server: TidewireServer, folder: Path) -> Iterator[str]:
    """Runs the example beside a server."""
    ada, port = server.accounts["ada"], free_port()
    environment = clean_environment() | {
        "PYTHONPATH": str(EXAMPLE.parents[1] / "src"),
        "DASHBOARD_TIDEWIRE": server.url,
        "DASHBOARD_SECRET": server.secret,
        "DASHBOARD_EMAIL": ada.email,
        "DASHBOARD_KEY": ada.api_key,
    }
    command = [sys.executable, "-m", "uvicorn", "dashboard:app", "--port", str(port)]
    output = folder / "dashboard.log"
    with running(command, output=output, cwd=EXAMPLE, environment=environment):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(f"{url}/deployments"), what="the dashboard answers")
        yield url


@pytest.mark.slow
def test_two_windows_show_the_same_through_a_kill(
    browser: Browser, tidewire_server: TidewireServer, tmp_path: Path
) -> None:
    with dashboard(tidewire_server, tmp_path) as url, browser.new_context() as context:
        one, other = context.new_page(), context.new_page()
        for page in (one, other):
            page.goto(url)
            expect(page.locator("#status")).to_have_text("connected")
        one.get_by_label("number").fill("7")
        one.get_by_role("button").click()
        for page in (one, other):
            expect(page.locator("li")).to_have_text(["7: started"])
        tidewire_server.kill()
        expect(other.locator("#status")).to_contain_text("CONNECTION_FAILED")
        tidewire_server.start()
        expect(other.locator("#status")).to_have_text("connected")
        other.get_by_label("state").fill("done")
        other.get_by_label("number").fill("7")
        other.get_by_role("button").click()
        for page in (one, other):
            expect(page.locator("li")).to_have_text(["7: done"])
