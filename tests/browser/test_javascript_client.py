"""The client for pages, in Chromium, against a real server of another origin."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from support.browser import chromium, pages
from tidewire.client import QueueGone
from tidewire.state import Apply, apply_events, keyed, latest, members
from tidewire.testing.builders import a_notice
from tidewire.testing.server import TidewireServer

pytestmark = pytest.mark.slow

FOLLOW = """
async ({url, email, apiKey, options}) => {
    const tidewire = await import("/tidewire.js");
    const seen = window.seen = {events: [], gaps: [], retries: [], recovered: 0, error: null, ended: false};
    window.tidewire = tidewire;
    window.stopper = new AbortController();
    window.client = new tidewire.Client(url, {email, apiKey, timeout: options.timeout});
    window.state = options.member ? new tidewire.LiveState(
        {[options.member]: tidewire.keyed(options.member, {eventType: "task", item: "task"})}) : undefined;
    const started = {...options.asked, signal: window.stopper.signal, state: window.state,
        readState: window.state && (() => ({[options.member]: {}})),
        onGap: (gap) => seen.gaps.push(gap),
        onRetry: (error) => seen.retries.push(error.code),
        onRecovered: () => seen.recovered++};
    (async () => {
        try {
            for await (const event of window.client.events(started)) {
                seen.events.push(event);
                if (event.last) break;
            }
        } catch (error) {
            seen.error = `${error.name}: ${error.message}`;
        }
        seen.ended = true;
    })();
}
"""

RULES = """
async (events) => {
    const {LiveState, keyed, latest, members} = await import("/tidewire.js");
    const state = new LiveState({
        tasks: keyed("tasks", {eventType: "task", item: "task"}),
        mood: latest("mood", {eventType: "mood", value: "is"}),
        names: members("names", {eventType: "names", items: "names"}),
    });
    state.begin({result: "success", queue_id: "q", tasks: {7: {id: 7, title: "a", done: false}}, names: ["x"]});
    events.forEach((event) => state.take(event));
    return state.value;
}
"""

Follow = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with pages() as address:
        yield address


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    with browser.new_context() as context:
        opened = context.new_page()
        opened.goto(origin)
        yield opened


@pytest.fixture
def follow(page: Page, tidewire_server: TidewireServer) -> Follow:
    """Has the page follow a queue of Ada's."""

    def begin(*, member: str | None = None, timeout: float = 90, **asked: Any) -> Page:
        ada = tidewire_server.accounts["ada"]
        options = {"asked": asked, "member": member, "timeout": timeout}
        page.evaluate(
            FOLLOW,
            {"url": tidewire_server.url, "email": ada.email, "apiKey": ada.api_key, "options": options},
        )
        return page

    return begin


def when(page: Page, condition: str) -> dict[str, Any]:
    """What the page has seen, once that holds."""
    page.wait_for_function(f"() => {{ const seen = window.seen; return {condition}; }}", timeout=60_000)
    seen: dict[str, Any] = page.evaluate("() => window.seen")
    return seen


def test_events_come_in_order_and_leaving_the_loop_deletes_the_queue(
    tidewire_server: TidewireServer, follow: Follow
) -> None:
    page = follow(eventTypes=["step"])
    tidewire_server.wait_for_queues(1)
    tidewire_server.publish(*(a_notice("step", [1], number=number) for number in range(20)))
    tidewire_server.publish(a_notice("other", [1]), a_notice("step", [1], last=True))
    seen = when(page, "seen.ended")
    assert [event["id"] for event in seen["events"]] == list(range(21))
    assert seen["error"] is None
    tidewire_server.wait_for_queues(0)


def test_lost_answers_and_a_killed_server_cost_no_event_and_double_none(
    tidewire_server: TidewireServer, follow: Follow
) -> None:
    page = follow(eventTypes=["step"])
    tidewire_server.wait_for_queues(1)
    tidewire_server.publish(a_notice("step", [1], number=0))
    when(page, "seen.events.length === 1")
    tidewire_server.wait_for_polls(1)
    # The poll's and the publisher's, which sends its notices again. Both come over kept connections, so that they
    # are asked again without a failure being told.
    tidewire_server.faults.lose_answers(2)
    tidewire_server.publish(a_notice("step", [1], number=1), a_notice("step", [1], number=2))
    when(page, "seen.events.length === 3")
    tidewire_server.kill()
    when(page, "seen.retries.length > 1")
    tidewire_server.start()
    when(page, "seen.recovered > 0")
    tidewire_server.publish(a_notice("step", [1], number=3, last=True))
    seen = when(page, "seen.ended")
    assert [event["number"] for event in seen["events"]] == [0, 1, 2, 3]
    assert seen["gaps"] == []
    assert set(seen["retries"]) == {"CONNECTION_FAILED"}


def test_a_queue_that_is_gone_is_replaced_and_the_gap_told(
    tidewire_server: TidewireServer, follow: Follow
) -> None:
    page = follow(member="tasks", eventTypes=["task"])
    tidewire_server.wait_for_queues(1)
    tidewire_server.publish(a_notice("task", [1], task={"id": 7, "title": "a"}))
    when(page, "seen.events.length === 1")
    assert page.evaluate("() => window.state.value") == {"tasks": {"7": {"id": 7, "title": "a"}}}
    (old,) = tidewire_server.queue_ids()
    with tidewire_server.client("ada") as client:
        client.deregister(old)
        with pytest.raises(QueueGone):
            client.get_events(old, -1, dont_block=True)
    seen = when(page, "seen.gaps.length === 1")
    (new,) = tidewire_server.queue_ids()
    (gap,) = seen["gaps"]
    assert gap == {"oldQueueId": old, "reason": gap["reason"], "lastEventId": 0, "newQueueId": new}
    assert page.evaluate("() => window.state.value") == {"tasks": {}}


def test_the_watchdog_gives_a_silent_poll_up(tidewire_server: TidewireServer, follow: Follow) -> None:
    page = follow(timeout=0.2)
    tidewire_server.wait_for_queues(1)
    seen = when(page, "seen.recovered > 0")
    assert set(seen["retries"]) == {"CONNECTION_FAILED"}
    assert seen["events"] == []


def test_a_signal_ends_the_stream(tidewire_server: TidewireServer, follow: Follow) -> None:
    page = follow()
    tidewire_server.wait_for_polls(1)
    page.evaluate("() => window.stopper.abort()")
    assert when(page, "seen.ended")["error"] is None
    tidewire_server.wait_for_queues(0)


def test_a_page_that_is_left_takes_its_queue_along(tidewire_server: TidewireServer, follow: Follow) -> None:
    page = follow()
    tidewire_server.wait_for_polls(1)
    page.goto("about:blank")
    tidewire_server.wait_for_queues(0)


def test_what_no_retry_helps_is_thrown(tidewire_server: TidewireServer, page: Page) -> None:
    page.evaluate(
        FOLLOW, {"url": tidewire_server.url, "email": "nobody@x", "apiKey": "ü" * 32, "options": {}}
    )
    seen = when(page, "seen.ended")
    assert "TidewireError" in seen["error"]
    assert seen["retries"] == []


def test_the_first_registration_needs_a_server(tidewire_server: TidewireServer, follow: Follow) -> None:
    tidewire_server.kill()
    page = follow()
    assert "CONNECTION_FAILED" in when(page, "seen.ended")["error"]


def test_rules_of_state_are_the_same_as_in_python(page: Page) -> None:
    rules: dict[str, Apply] = {
        "tasks": keyed("tasks", event_type="task", item="task"),
        "mood": latest("mood", event_type="mood", value="is"),
        "names": members("names", event_type="names", items="names"),
    }
    events: list[dict[str, Any]] = [
        {"type": "task", "task": {"id": 7, "title": "b"}},
        {"type": "task", "task": {"id": 8}},
        {"type": "task", "op": "remove", "task": {"id": 9}},
        {"type": "mood", "is": "glad"},
        {"type": "mood"},
        {"type": "names", "op": "add", "names": ["z", "y", "x"]},
        {"type": "names", "op": "remove", "names": ["z", "w"]},
        {"type": "other"},
    ]
    before = {"tasks": {"7": {"id": 7, "title": "a", "done": False}}, "names": ["x"]}
    expected = json.loads(json.dumps(apply_events(rules, before, events)))
    assert page.evaluate(RULES, events) == expected
    assert expected["tasks"] == {"7": {"id": 7, "title": "b", "done": False}, "8": {"id": 8}}
