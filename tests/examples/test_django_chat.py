"""The Django chat: two windows through restarts, logouts, revoked tokens, and how it looks."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.browser import chromium
from support.chat_processes import Chat, made_database
from support.programs import require_programs
from support.raw_http import RawConnection, request_bytes
from support.stopwatch import Stopwatch

pytestmark = pytest.mark.slow

WITHIN = 2.0
"""Seconds in which a logout, or a revoked token, has ended the polls."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_database(tmp_path_factory.mktemp("chat-database"))


@pytest.fixture
def chat(tmp_path: Path, database: Path) -> Iterator[Chat]:
    made = Chat(tmp_path, database)
    yield made
    made.destroy()


@pytest.fixture
def together(chat: Chat) -> Chat:
    """Pages and events by one process, as the first steps of the README have it."""
    chat.front_port = chat.server_port
    chat.serve_events("--pages")
    return chat


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Logs somebody in, and opens the page in a window of their own."""
    contexts: list[BrowserContext] = []

    def log_in(chat: Chat, name: str, **options: object) -> Page:
        contexts.append(browser.new_context(**options))  # type: ignore[arg-type]  # Playwright's own names
        page = contexts[-1].new_page()
        page.goto(chat.url)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill("demo")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#status")).to_have_text("connected")
        return page

    yield log_in
    for context in contexts:
        context.close()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def bubbles(page: Page) -> list[str]:
    return page.locator(".bubble").all_text_contents()


def test_messages_typing_and_read_marks_cross_through_restarts_of_both(chat: Chat, opened: Open) -> None:
    require_programs("nginx")
    pages, events = chat.serve_pages(), chat.serve_events()
    chat.serve_front()
    ada, bob = opened(chat, "ada"), opened(chat, "bob")
    ada.get_by_label("Message", exact=True).press_sequentially("hel")
    expect(bob.locator("#typing")).to_have_text("ada is typing")
    said = ["hello"]
    say(ada, "hello")
    expect(bob.locator(".bubble")).to_have_text(said)
    expect(bob.locator("#typing")).to_have_text("")
    expect(ada.locator(".seen")).to_have_text("read by bob")

    # Django restarts: events go on, and what is said in the meantime is not lost but said to be unsent.
    chat.stop(pages)
    say(bob, "is anybody there?")
    expect(bob.locator("#status")).to_have_text("not sent, try again")
    pages = chat.serve_pages()
    bob.get_by_role("button", name="Send").click()
    said.append("is anybody there?")
    expect(ada.locator(".bubble")).to_have_text(said)

    # The server restarts: what is said while it is away waits in the outbox.
    chat.stop(events)
    expect(ada.locator("#status")).to_contain_text("no connection")
    for number in range(3):
        say(bob, f"meanwhile {number}")
        said.append(f"meanwhile {number}")
    expect(ada.locator(".bubble")).to_have_text(said[:2])
    chat.serve_events()
    expect(ada.locator(".bubble")).to_have_text(said)
    expect(bob.locator(".bubble")).to_have_text(said)
    expect(bob.locator(".seen")).to_have_text("read by ada")
    expect(ada.locator(".seen")).to_have_count(0)  # who has read it oneself need not be told
    for page in (ada, bob):
        expect(page.locator("#status")).to_have_text("connected")
    assert "Traceback" not in chat.log, chat.log


def test_nothing_is_missed_while_shards_are_restarted_one_after_the_other(chat: Chat, opened: Open) -> None:
    require_programs("nginx")
    chat.serve_pages()
    chat.serve_shards()
    chat.serve_front()
    ada, bob = opened(chat, "ada"), opened(chat, "bob")  # whose queues are on different shards
    restarting = chat.restart_shards()
    said: list[str] = []
    while restarting.poll() is None:
        said.append(f"number {len(said)}")
        say(bob, said[-1])
        expect(bob.get_by_label("Message", exact=True)).to_have_value("")
    assert restarting.returncode == 0, chat.log
    assert len(said) > 2
    for page in (ada, bob):
        expect(page.locator("#status")).to_have_text("connected")
        expect(page.locator(".bubble")).to_have_count(len(said))
        assert sorted(bubbles(page)) == sorted(said)
    assert bubbles(ada) == bubbles(bob)


def test_a_logout_ends_the_page_s_polls(together: Chat, opened: Open) -> None:
    ada, bob = opened(together, "ada"), opened(together, "bob")
    other_tab = ada.context.new_page()
    other_tab.goto(together.url)
    expect(other_tab.locator("#status")).to_have_text("connected")
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in ada.context.cookies())
    watch = Stopwatch(*together.pids)
    other_tab.get_by_role("button", name="Log out").click()
    expect(ada.locator("#status")).to_have_text("logged out")
    assert watch.seconds < WITHIN
    say(bob, "not for who is logged out")
    expect(bob.locator(".bubble")).to_have_text(["not for who is logged out"])
    assert bubbles(ada) == []
    origin = {"Cookie": cookie, "Host": f"127.0.0.1:{together.front_port}", "Origin": together.url}
    with RawConnection(together.server_port) as connection:
        assert (
            connection.answer_to(request_bytes("POST", "/json/register", form={}, headers=origin)).status
            == 401
        )


def test_a_revoked_token_ends_its_polls_and_queues(together: Chat) -> None:
    (number, text) = re.findall(r"token (\d+): (\S+)", together.manage("token", "bob"))[0]
    headers = {"Authorization": f"Token {text}"}
    form = {"event_types": ["chat_message"]}
    with RawConnection(together.server_port) as connection:
        registered = connection.answer_to(
            request_bytes("POST", "/api/v1/register", form=form, headers=headers)
        )
        assert registered.status == 200, registered
        query = {"queue_id": registered.json["queue_id"], "last_event_id": -1}
        poll = request_bytes("GET", "/api/v1/events", query=query, headers=headers)
        connection.send(poll)
        together.manage("token", "--revoke", number)
        watch = Stopwatch(*together.pids)
        connection.answer()
        assert watch.seconds < WITHIN
        assert connection.answer_to(poll).status == 401
    (_, other) = re.findall(r"token (\d+): (\S+)", together.manage("token", "bob"))[0]
    with RawConnection(together.server_port) as connection:
        again = request_bytes(
            "GET", "/api/v1/events", query=query, headers={"Authorization": f"Token {other}"}
        )
        assert connection.answer_to(again).json["code"] == "BAD_EVENT_QUEUE_ID"


def test_channels_are_for_their_members_and_count_what_is_unread(together: Chat, opened: Open) -> None:
    ada, gil = opened(together, "ada"), opened(together, "gil")
    expect(gil.locator("#channels button")).to_have_text(["general"])
    bob = opened(together, "bob")
    bob.get_by_role("button", name="builds").click()
    say(bob, "a build")
    expect(ada.get_by_role("button", name="builds")).to_have_text("builds1")
    ada.get_by_role("button", name="builds").click()
    expect(ada.locator(".bubble")).to_have_text(["a build"])
    expect(bob.locator(".seen")).to_have_text("read by ada")
    assert bubbles(gil) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_themes(together: Chat, opened: Open, scheme: str) -> None:
    page = opened(
        together, "ada", viewport={"width": 360, "height": 640}, color_scheme=scheme, has_touch=True
    )
    say(page, "a message that is long enough to need more than one line on a screen as narrow as this one")
    expect(page.locator(".bubble")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", colour)[0])
    assert (red > 128) == (scheme == "light")
