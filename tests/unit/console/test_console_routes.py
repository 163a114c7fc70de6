"""What the console answers: the page's files, and the operators' own answers."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import asgi
from support.console_site import ConsoleSite, console_site
from support.server_process import SECRET
from support.site import LocalSite
from tidewire import console as package
from tidewire.config import load
from tidewire.console.live import KEPT
from tidewire.console.routes import console_routes
from tidewire.observability.counters import Histogram

FOLDER = Path(package.__file__).parent
NOTICE = json.dumps({"event": {"type": "deploy", "text": "hush"}, "users": [1], "id": "d-1"}).encode()


async def test_the_operators_routes_answer_the_same_here(console: ConsoleSite) -> None:
    local = console.local
    queue_id = await local.register("ada", event_types=["deploy"])
    await local.publish("ada", type="other")
    await local.internal("/api/internal/notices", body=NOTICE)
    await console.log_in()
    bearer = {"authorization": f"Bearer {SECRET}"}
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", "queues", {"query": {"sort": "events", "search": "1"}}),
        ("GET", f"queues/{queue_id}", {}),
        ("GET", f"queues/{queue_id}", {"query": {"payload": True}}),
        ("GET", "queues/nothing", {}),
        ("GET", "explain", {"query": {"queue_id": queue_id, "event_id": 0}}),
        ("GET", "explain", {"query": {"queue_id": queue_id, "last": "x"}}),
        ("POST", "explain/dry-run", {"body": NOTICE}),
        ("POST", "explain/dry-run", {"body": b"nonsense"}),
        ("POST", "notices", {"body": NOTICE}),
        ("POST", "notices", {"body": NOTICE.replace(b"hush", b"other")}),
    )
    for method, path, request in asked:
        theirs = await asgi.ask(local.app, method, f"/api/internal/{path}", headers=bearer, **request)
        ours = await console.ask(method, f"/console/api/{path}", **request)
        assert (ours.status, ours.body) == (theirs.status, theirs.body), path


async def test_the_pulse_has_the_totals_and_how_the_server_is(console: ConsoleSite) -> None:
    local = console.local
    await console.log_in()
    local.context.lifecycle.bus_is_away(True)
    pulse = (await console.get("/api/pulse")).json
    stats = (
        await local.ask(None, "GET", "/api/internal/stats", headers={"authorization": f"Bearer {SECRET}"})
    ).json
    assert stats.items() <= pulse.items()
    assert (pulse["ready"], pulse["stopping"], pulse["degraded"]) == (True, False, ["bus"])
    assert pulse["loop_turn"] >= 0


async def test_many_pages_cost_one_look_at_the_queues_a_second(console: ConsoleSite) -> None:
    await console.log_in()
    assert (await console.get("/api/pulse")).json["queues"] == 0
    await console.local.register("ada")
    assert (await console.get("/api/pulse")).json["queues"] == 0
    console.local.clock.advance(KEPT)
    assert (await console.get("/api/pulse")).json["queues"] == 1


async def test_what_a_page_asks_every_second_does_not_fill_the_log(console: ConsoleSite) -> None:
    await console.log_in()
    before = len(console.local.logged("request"))
    for path in ("/api/pulse", "/api/queues", "/api/shards"):
        assert (await console.get(path)).status == 200
    assert len(console.local.logged("request")) == before
    # What goes wrong, and what changes something, is written.
    await console.get("/api/queues/nothing")
    await console.post("/api/notices", body=NOTICE)
    assert [(entry["status"], entry["who"]) for entry in console.local.logged("request")[before:]] == [
        (404, "internal"),
        (200, "internal"),
    ]


async def test_a_single_server_is_its_only_shard(console: ConsoleSite) -> None:
    await console.log_in()
    answer = (await console.get("/api/shards")).json
    (shard,) = answer["shards"]
    assert (answer["index"], shard["index"], shard["url"], shard["healthy"]) == (
        0,
        0,
        "http://127.0.0.1:9800",
        True,
    )
    console.local.context.lifecycle.stopping = True
    assert (await console.get("/api/shards")).json["shards"][0]["healthy"] is False


async def test_each_file_that_the_page_names_is_there_with_its_kind(console: ConsoleSite) -> None:
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    page = (await console.get("")).body.decode()
    waiting, seen = set(re.findall(r'(?:src|href)="/console(/static/[^"]+)"', page)), set()
    assert waiting
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = await console.get(path)
        assert answer.status == 200, path
        assert answer.headers["content-type"].startswith(kinds[path.rpartition(".")[2]])
        for name in re.findall(r'^import (?:[^;]*? from )?"([^"]+)";$', answer.body.decode(), re.MULTILINE):
            imported = str(Path(path).parent / name).replace("page/../", "")
            waiting |= {imported} - seen
    served = {
        f"/static/{file.relative_to(FOLDER)}"
        for file in FOLDER.glob("*/*")
        if file.parent.name in {"page", "vendor"}
    }
    assert {path for path in served if path.endswith((".js", ".css", ".svg"))} == seen


@pytest.mark.parametrize(
    "name",
    [
        "",
        "page",
        "page/",
        "page/../routes.py",
        "../routes.py",
        "routes.py",
        "vendor/README.md",
        "vendor/uplot.LICENSE",
        "page/%2e%2e/routes.py",
        "static/tidewire.js",
        "/etc/passwd",
    ],
)
async def test_no_other_file_can_be_had(console: ConsoleSite, name: str) -> None:
    assert (await console.get(f"/static/{name}")).status == 404


async def test_the_page_says_nothing_of_the_server(console: ConsoleSite) -> None:
    stranger = await console.get("")
    await console.log_in()
    assert (await console.get("")).body == stranger.body == (FOLDER / "page" / "index.html").read_bytes()


async def test_other_methods_are_refused(console: ConsoleSite) -> None:
    assert (await console.post("")).status == 405
    assert (await console.get("/login")).status == 405


async def test_the_pulse_tells_how_long_things_take(local: LocalSite) -> None:
    first, second = Histogram(), Histogram()
    first.add(0.25)
    first.add(0.5)
    second.add(0.25)
    console = console_site(local, times=lambda: {"notices": [first, second], "writes": []})
    await console.log_in()
    assert (await console.get("/api/pulse")).json["times"] == {
        "notices": {"count": 3, "seconds": 1.0},
        "writes": {"count": 0, "seconds": 0},
    }


def test_the_console_can_be_switched_off() -> None:
    settings = load(file=None, environ={}, overrides=["console.enabled=false"])
    asked: dict[str, Any] = {"new_secret": str, "is_realm_host": bool, "times": dict}
    assert console_routes(settings, **asked) == {}
    enabled = replace(settings, console=replace(settings.console, enabled=True))
    assert "/console" in console_routes(enabled, **asked)
