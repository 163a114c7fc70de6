"""The console in Chromium, against a real server: what an operator sees, and what no page may do."""

import contextlib
import itertools
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from support.browser import chromium
from support.console_visit import DESK, Visit, Window, pictures, visit
from support.demo_server import running
from support.server_process import KEYS, ServerProcess, email
from support.shard_group import ShardGroup

pytestmark = pytest.mark.slow

WINDOWS = [
    Window(width, height, theme) for width, height in ((1280, 800), (390, 844)) for theme in ("light", "dark")
]

POINTS = 45 if pictures() else 3
"""Seconds that the plots show before anything goes on; pictures want more than a test needs."""

HIDE = """
(hidden) => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path)
    process.start()
    yield process
    process.destroy()


@pytest.fixture
def visitor(browser: Browser, server: ServerProcess) -> Iterator[Visit]:
    """At a desk, not logged in."""
    with visit(browser, server.url) as begun:
        yield begun


@contextlib.contextmanager
def traffic(server: ServerProcess, folder: Path) -> Iterator[None]:
    """Three clients that read what they get, and a publisher, as long as the block lasts."""
    stopped = threading.Event()

    def publish() -> None:
        for number in itertools.count():
            for _ in range(1 + number // 8 % 4):
                server.publish_event("ada", "bob", "gil", type="deploy", number=number)
            server.publish_event("ada", "gil", type="typing", op="start")
            if stopped.wait(0.4):
                return

    publisher = threading.Thread(target=publish)
    with contextlib.ExitStack() as clients:
        for name in ("ada", "bob", "gil"):
            arguments = ["tail", "--url", server.url, "--email", email(name), "--key", KEYS[name]]
            command = [sys.executable, "-m", "tidewire", *arguments, "--event-types", "deploy"]
            clients.enter_context(running(command, output=folder / f"tail-{name}", cwd=folder))
        publisher.start()
        try:
            yield
        finally:
            stopped.set()
            publisher.join()


def publish_by_hand(visitor: Visit) -> None:
    """Ada's and Gil's queues take it, of which Gil's has a poll; their other clients don't; and nobody has the id 99."""
    page = visitor.page
    visitor.go("Publish")
    page.get_by_label("One notice, as JSON").fill(
        '{"event": {"type": "release", "by": "hand"}, "users": [1, 3, 99]}'
    )
    expect(page.get_by_role("button", name="Publish")).to_be_disabled()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("2 queued, 2 refused; 1 user without a queue.")).to_be_visible()
    expect(page.get_by_text("A poll waits for it: it goes out at once.")).to_have_count(1)
    visitor.check("publish")
    page.get_by_role("button", name="Publish to 2 queues").click()
    expect(page.get_by_text("Published. Its queues say what becomes of it.")).to_be_visible()


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.name)
def test_an_operator_looks_around_watches_a_queue_and_publishes(
    browser: Browser, server: ServerProcess, tmp_path: Path, window: Window
) -> None:
    watched = server.register("ada", event_types=["deploy", "release"], client="website")
    server.register("bob", client="ZulipMobile")
    waiting = server.register("gil", event_types=["release"], client="ZulipMobile")
    with visit(browser, server.url, window) as visitor, traffic(server, tmp_path):
        page = visitor.page
        visitor.open()
        expect(page.get_by_role("heading", name="Tidewire console")).to_be_visible()
        visitor.check("login")
        visitor.log_in()

        # The first page: figures and plots.
        expect(
            page.get_by_role("img", name=re.compile("Events a second: events queued [1-9]"))
        ).to_be_visible()
        expect(page.locator(".tile", has_text="Clients waiting")).to_contain_text("3")
        page.wait_for_function(
            "(points) => document.querySelector('tw-chart').series.time.length >= points",
            arg=POINTS,
            timeout=90_000,
        )
        expect(page.get_by_text("The client did not ask for this type of event.")).to_be_visible()
        visitor.check("overview")

        # All queues, and the one that is meant.
        visitor.go("Queues")
        expect(page.get_by_role("status").get_by_text("1\N{EN DASH}6 of 6")).to_be_visible()
        visitor.check("queues")
        page.get_by_label("Search queues").fill("WEBSITE")
        expect(page.get_by_role("status").get_by_text("1\N{EN DASH}1 of 1")).to_be_visible()
        page.get_by_role("link", name=watched).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(watched)
        expect(page.get_by_text("user 1 of realm 1")).to_be_visible()

        # What is published meanwhile appears, with what became of it and why.
        server.publish_event("ada", type="message_of_the_day", text="hush")
        server.publish({"event": {"type": "deploy", "text": "hush"}, "users": [1], "id": "release-17"})
        timeline = page.get_by_role("list", name="Timeline, newest first")
        refusal = timeline.get_by_role("listitem").filter(has_text="message_of_the_day")
        expect(refusal).to_contain_text("refused")
        expect(refusal).to_contain_text("The client did not ask for this type of event. R3.1")
        page.get_by_placeholder("An event's id here").fill("release-17")
        page.get_by_role("button", name="Explain").click()
        expect(page.locator(".story")).to_contain_text("waiting deploy Not sent yet")
        assert server.events("ada", watched)
        expect(timeline.get_by_text("Sent, and not acknowledged").first).to_be_visible()
        visitor.check("queue")

        server.park("gil", waiting)
        publish_by_hand(visitor)
        assert [event["by"] for event in server.events("ada", watched) if "by" in event] == ["hand"]

        visitor.go("Shards")
        expect(page.get_by_text("You are viewing this shard.")).to_be_visible()
        visitor.check("shards")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_text("You have logged out.")).to_be_visible()
        assert visitor.faults == []


def test_everything_can_be_done_by_keyboard(visitor: Visit, server: ServerProcess) -> None:
    queue_id = server.register("ada")
    server.publish_event("ada", type="deploy")
    page, keys = visitor.page, visitor.page.keyboard
    visitor.open()
    visitor.log_in()
    expect(page.get_by_role("main")).to_be_focused()
    keys.press("g")
    keys.press("q")
    expect(page.get_by_role("link", name=queue_id)).to_be_visible()
    keys.press("/")
    expect(page.get_by_label("Search queues")).to_be_focused()
    keys.type("gq?")  # text in a field, no shortcuts
    expect(page.get_by_text("No queue fits.")).to_be_visible()
    keys.press("Control+A")
    keys.press("Delete")
    expect(page.get_by_role("link", name=queue_id)).to_be_visible()
    keys.press("Escape")
    keys.press("j")
    expect(page.get_by_role("link", name=queue_id)).to_be_focused()
    assert visitor.focus_is_visible()
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(queue_id)

    keys.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Search queues")
    keys.press("Escape")
    expect(dialog).to_be_hidden()

    keys.press("g")
    keys.press("p")
    expect(page.get_by_role("heading", level=1)).to_have_text("Publish")
    notice = page.get_by_label("One notice, as JSON")
    for _ in range(20):
        keys.press("Tab")
        assert visitor.focus_is_visible()
        if notice.evaluate("(field) => field === document.activeElement"):
            break
    expect(notice).to_be_focused()
    keys.press("Control+Enter")
    expect(page.get_by_text("1 queued.")).to_be_visible()
    keys.press("Tab")
    keys.press("Tab")
    expect(page.get_by_role("button", name="Publish to 1 queue")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_text("Published.")).to_be_visible()
    assert [event["type"] for event in server.events("ada", queue_id)] == ["deploy", "greeting"]
    assert visitor.faults == []


def test_the_first_tab_leads_past_the_navigation(visitor: Visit) -> None:
    visitor.enter()
    page = visitor.page
    page.reload()
    expect(visitor.status).to_have_text("live")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_light_and_dark_follow_the_system_until_one_is_chosen(visitor: Visit) -> None:
    page = visitor.page
    visitor.enter()
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Switch to the light theme").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    expect(visitor.status).to_have_text("live")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "dark")


def test_payloads_are_hidden_until_asked_for(visitor: Visit, server: ServerProcess) -> None:
    queue_id = server.register("ada")
    server.publish_event("ada", type="deploy", text="hush")
    visitor.enter(f"#/queue/{queue_id}")
    page = visitor.page
    expect(page.get_by_role("list", name="Events that the queue holds")).to_contain_text("deploy")
    assert "hush" not in page.content()
    page.get_by_label("Show what events say").check()
    expect(page.get_by_text('"text": "hush"')).to_be_visible()
    page.get_by_label("Show what events say").uncheck()
    expect(page.get_by_text("hush")).to_have_count(0)
    assert visitor.faults == []


@pytest.mark.parametrize("window", WINDOWS[::2], ids=lambda window: window.name)
def test_what_clients_and_events_say_is_only_text_and_fits(
    browser: Browser, server: ServerProcess, window: Window
) -> None:
    said = "<img src=x onerror=alert(1)>"
    long = "x" * 300
    queue_id = server.register("ada", client=said, narrow=[["topic", long]], event_types=[said, long])
    for kind in (said, long, f"no-{long}"):
        server.publish_event("ada", type=kind, text=said)
    with visit(browser, server.url, window) as visitor:
        visitor.enter()
        page = visitor.page
        expect(page.get_by_text("Queues that lag behind")).to_be_visible()
        visitor.check("overview")
        visitor.go("Queues")
        expect(page.get_by_role("cell", name=said)).to_be_visible()
        visitor.check("queues")
        visitor.open(f"#/queue/{queue_id}")
        page.get_by_label("Show what events say").check()
        expect(page.get_by_label("Event 0")).to_contain_text(said)
        visitor.check("queue")
        assert page.locator("main img").count() == 0
        assert visitor.faults == []


def test_many_queues_come_in_pages_and_in_the_order_that_is_asked_for(
    visitor: Visit, server: ServerProcess
) -> None:
    ids = sorted(server.register(name) for name in ("ada", "bob") for _ in range(30))
    visitor.enter("#/queues")
    page = visitor.page
    found, rows = page.get_by_role("status"), page.locator("table.queues tbody tr")
    page.get_by_role("button", name="Queue", exact=True).click()
    expect(page.get_by_role("columnheader", name="Queue")).to_have_attribute("aria-sort", "ascending")
    expect(rows.first).to_contain_text(ids[0])
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Next").click()
    expect(found.get_by_text("51\N{EN DASH}60 of 60")).to_be_visible()
    expect(rows.last).to_contain_text(ids[-1])
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Queue", exact=True).click()
    expect(found.get_by_text("1\N{EN DASH}50 of 60")).to_be_visible()
    expect(rows.first).to_contain_text(ids[-1])
    page.get_by_label("Search queues").fill("2")
    page.get_by_label("State").select_option("waiting")
    expect(page.get_by_text("No queue fits.")).to_be_visible()
    page.get_by_role("button", name="Show all queues").click()
    expect(found.get_by_text("1\N{EN DASH}50 of 60")).to_be_visible()
    expect(page.get_by_label("Search queues")).to_have_value("")
    assert visitor.faults == []


def test_a_wrong_secret_and_too_many_attempts_are_told(visitor: Visit) -> None:
    page = visitor.page
    visitor.open()
    visitor.log_in("wrong")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("That is not the secret of this server")
    expect(page.get_by_label("Operator secret")).to_be_focused()
    for _ in range(20):
        # The page answers Enter again only once it has shown what became of the attempt before.
        expect(page.get_by_role("button", name="Log in")).to_be_enabled()
        with page.expect_response("**/console/login") as answered:
            page.keyboard.type("wrong")
            page.keyboard.press("Enter")
        if answered.value.status == 429:
            break
    expect(alert).to_contain_text(re.compile(r"Wait \d+ seconds"))


def test_a_wrong_notice_is_refused_with_what_is_wrong(visitor: Visit) -> None:
    visitor.enter("#/publish")
    page = visitor.page
    notice = page.get_by_label("One notice, as JSON")
    for text, problem in (("nonsense", "JSON"), ('{"event": {"type": "x"}}', "users")):
        notice.fill(text)
        page.get_by_role("button", name="Dry run").click()
        expect(page.get_by_role("alert")).to_contain_text(problem)
        expect(notice).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_role("button", name="Publish")).to_be_disabled()


def test_a_queue_that_is_not_there_and_one_that_ended_are_told_apart(
    visitor: Visit, server: ServerProcess
) -> None:
    queue_id = server.register("ada")
    server.publish_event("ada", type="deploy")
    visitor.enter("#/queue/nothing")
    page = visitor.page
    expect(page.get_by_text("There is no queue nothing")).to_be_visible()
    expect(page.get_by_role("link", name="Look at the queues that there are")).to_be_visible()
    visitor.open(f"#/queue/{queue_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(queue_id)
    server.ask_as("ada", "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    expect(page.get_by_text("Its client, or the application, deleted it.").first).to_be_visible()
    expect(page.get_by_text("The queue ended before the client acknowledged it.")).to_be_visible()


ODD_PLACES = [
    "#/queue/%",
    "#/queue/%zz",
    "#/queue/%ED%A0%80",
    "#/queue/%FF%FE",
    "#/queue/..",
    "#/queue/.",
    "#/queue/%2F%2e%2E%2F",
    "#/queue/" + "x" * 3000,
    "#/queue/<img src=x onerror=alert(1)>",
    "#/queue/a?b=c#d",
    "#/queue/",
    "#constructor",
    "#__proto__",
    "#/%",
    "#",
]
"""What anybody may type, or write into a link."""


def test_no_place_that_is_typed_breaks_the_page(visitor: Visit) -> None:
    visitor.enter()
    for place in ODD_PLACES:
        visitor.open(place)
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        expect(visitor.status).to_have_text("live")
        expect(visitor.page.get_by_role("navigation", name="Pages")).to_be_visible()
    # That there are no such queues is what the server answers; nothing else is the matter.
    known = re.compile(r"^(404|414|400): |status of (404|414|400)")
    assert [fault for fault in visitor.faults if not known.search(fault)] == []
    visitor.go("Queues")


def test_a_server_that_is_gone_is_told_and_found_again(visitor: Visit, server: ServerProcess) -> None:
    visitor.enter()
    page = visitor.page
    assert server.stop() == 0
    expect(visitor.status).to_have_text("not connected")
    expect(page.get_by_text("The server does not answer. The page tries again by itself.")).to_be_visible()
    expect(page.get_by_text("What you see is from")).to_be_visible()
    server.start()
    # Sessions do not outlive the server.
    expect(page.get_by_text("Your session has ended. Log in again.")).to_be_visible()
    visitor.log_in()
    expect(visitor.status).to_have_text("live")


def test_each_shard_is_shown_and_one_that_is_gone_is_told(browser: Browser, tmp_path: Path) -> None:
    group = ShardGroup(tmp_path, 2)
    try:
        group.start()
        own, other = group.shards
        with visit(browser, own.url) as visitor:
            visitor.enter("#/shards")
            shards = visitor.page.get_by_role("main").get_by_role("listitem")
            expect(shards.nth(0)).to_contain_text("You are viewing this shard.")
            expect(shards.nth(1)).to_contain_text("all users, shared by 2")
            expect(shards.get_by_text("healthy", exact=True)).to_have_count(2)
            expect(shards.nth(1).get_by_role("link")).to_have_attribute("href", f"{other.url}/console")
            assert other.stop() == 0
            expect(shards.nth(1)).to_contain_text("not healthy")
            expect(shards.nth(1)).to_contain_text("it does not answer")
            assert visitor.faults == []
    finally:
        group.destroy()


def test_a_hidden_page_asks_nothing(visitor: Visit) -> None:
    page = visitor.page
    page.clock.install()
    visitor.open()
    visitor.log_in()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/api/pulse"):
        page.clock.run_for(2_000)
    page.evaluate(HIDE, True)
    page.clock.run_for(1_000)
    expect(visitor.status).to_have_text("paused")
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_request("**/api/pulse"):
        page.evaluate(HIDE, False)


def test_a_name_that_may_be_rebound_gets_no_page(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        answer = page.goto(f"http://localhost:{server.port}/console")
        assert answer is not None
        assert answer.status == 200
    refused = server.ask("GET", "/console", headers={"Host": "evil.example"})
    assert refused.status == 403


def test_the_page_can_be_looked_at_from_any_origin_of_its_own(
    browser: Browser, server: ServerProcess
) -> None:
    """By each of its names: what the page asks is compared with the name that it was opened by."""
    with visit(browser, f"http://localhost:{server.port}", DESK) as visitor:
        visitor.enter()
        expect(visitor.page.get_by_text("Clients waiting").first).to_be_visible()
        assert visitor.faults == []
