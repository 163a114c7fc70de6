"""Paths that are nearly a route's: none answers as the route, so no proxy can let through what the server takes for more."""

from collections.abc import Iterator, Mapping

import pytest

from support.raw_http import request_bytes
from support.server_process import BEARER, ServerProcess, credentials
from tidewire.http.app import DESCRIPTION, HEALTH, INTERNAL, PUBLIC, Methods, all_routes

pytestmark = pytest.mark.slow

CONSOLE: Mapping[str, tuple[str, ...]] = {
    "/console": ("GET",),
    "/console/login": ("POST",),
    "/console/logout": ("POST",),
    "/console/api/session": ("GET",),
}

APPENDED = (
    "%0a",
    "%0A%0a",
    "%0d",
    "%0d%0a",
    "%00",
    "%00.css",
    "%09",
    "%20",
    "%2f",
    "%2F%2f",
    "%5c",
    "%3f",
    "%3fa=b",
    "%23",
    "%3b",
    "%25",
    "%c0%80",
    "%e2%80%a8",
    "%85",
    "/",
    "//",
    "/.",
    "/..",
    "/../",
    "/%2e",
    "/%2e%2e",
    ";",
    ";a=b",
    ";/",
    ".",
    "..",
    "...",
    ".json",
    "~",
    "\\",
    "+",
    "&a=b",
)

PREFIXED = ("/", "//", "/.", "/;", "/%2f", "/%0a", "/%00", "/x/..", "/x/%2e%2e", "%20", "\\")


def tables() -> Iterator[tuple[str, str]]:
    """Each path with each of its methods; those that end in a name of any form are left out, where all is such a name."""
    routes: Mapping[str, Methods] = all_routes()
    for path in routes:
        if "{" not in path:
            yield from ((path, method) for method in routes[path])
    for path, methods in CONSOLE.items():
        yield from ((path, method) for method in methods)


def found(server: ServerProcess, near: dict[str, tuple[str, str]]) -> list[str]:
    """Which of the targets are answered with anything but 404; each is asked for by whoever may have the most."""
    answered = []
    with server.connect() as connection:
        for target, (path, method) in near.items():
            headers = credentials("ada") if path.startswith(("/api/v1", "/json")) else BEARER
            if path in INTERNAL:
                headers = BEARER
            request = request_bytes(method, target, headers=headers, body=None if method == "GET" else b"[]")
            answer = connection.answer_to(request)
            if answer.status != 404:
                answered.append(f"{method} {target}: {answer.status}")
            if answer.headers.get("connection") == "close":
                connection.reconnect()
    return answered


def test_the_tables_hold_what_there_is() -> None:
    paths = {path for path, _ in tables()}
    assert {"/api/v1/register", "/json/events", "/metrics", "/console", "/api/internal/notices"} <= paths
    assert len(paths) > len(PUBLIC) + len(HEALTH) + len(DESCRIPTION)


@pytest.mark.parametrize("more", APPENDED)
def test_a_path_with_something_behind_it_is_no_route(attacked_server: ServerProcess, more: str) -> None:
    near = {
        path + more: (path, method)
        for path, method in tables()
        if (path, more) != ("/console", "/")  # which is a route
    }
    assert found(attacked_server, near) == []


@pytest.mark.parametrize("before", PREFIXED)
def test_a_path_with_something_before_it_is_no_route(attacked_server: ServerProcess, before: str) -> None:
    near = {before + path: (path, method) for path, method in tables() if before + path}
    answered = [line for line in found(attacked_server, near) if not line.endswith(": 400")]
    assert answered == []


@pytest.mark.parametrize("slash", ["%2f", "%2F", "//", "/./", "/x/../", "%5c", "\\"])
def test_a_path_with_another_slash_inside_is_no_route(attacked_server: ServerProcess, slash: str) -> None:
    near = {
        slash.join(path.rsplit("/", 1)): (path, method) for path, method in tables() if path.count("/") > 1
    }
    assert found(attacked_server, near) == []
