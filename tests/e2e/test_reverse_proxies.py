"""The proxies of `deploy/`, where their programs are installed: TLS outside, polls through, the rest closed."""

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.proxies import PROXIES, proxy
from support.server_process import SECRET, ServerProcess, credentials

pytestmark = pytest.mark.slow


class Outside:
    """What a client on the internet sees."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._trust = ssl.create_default_context()
        self._trust.check_hostname = False
        self._trust.verify_mode = ssl.CERT_NONE  # the certificate is the test's own

    def ask(self, method: str, path: str, *, body: str = "", **headers: str) -> tuple[int, str]:
        """Status and body of one request."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=60, context=self._trust)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, headers)
            with connection.getresponse() as response:
                return response.status, response.read().decode()

    def ask_as(self, name: str, method: str, path: str, **parameters: object) -> tuple[int, str]:
        """The same as one of the users; POST puts the parameters into a form."""
        form = urlencode(parameters)
        if method == "POST":
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return self.ask(method, path, body=form, **credentials(name), **kind)
        return self.ask(method, f"{path}?{form}", **credentials(name))

    def is_there(self) -> bool:
        """Whether anybody answers."""
        try:
            return self.ask("GET", "/api/v1/server_settings")[0] == http.client.OK
        except OSError:
            return False


@pytest.fixture(params=PROXIES)
def outside(
    request: pytest.FixtureRequest, tmp_path: Path, shared_server: ServerProcess
) -> Iterator[Outside]:
    with proxy(request.param, tmp_path, shared_server.port, lambda port: Outside(port).is_there()) as port:
        yield Outside(port)


def test_a_client_registers_and_waits_through_a_proxy(outside: Outside, shared_server: ServerProcess) -> None:
    status, answer = outside.ask_as("ada", "POST", "/api/v1/register", event_types='["greeting"]')
    assert status == 200, answer
    queue_id = json.loads(answer)["queue_id"]
    got: list[tuple[int, str]] = []

    def poll() -> None:
        got.append(outside.ask_as("ada", "GET", "/api/v1/events", queue_id=queue_id, last_event_id=-1))

    waiting = threading.Thread(target=poll)
    waiting.start()
    shared_server.publish_event("ada", type="greeting", text="hello")
    waiting.join(60)
    status, answer = got[0]
    assert (status, [event["text"] for event in json.loads(answer)["events"]]) == (200, ["hello"])
    assert outside.ask_as("ada", "DELETE", "/api/v1/events", queue_id=queue_id)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/internal/notices",
        "/console",
        "/console/login",
        "/api/v1/events/internal",
        "/api/v1/../internal/notices",
        "/api/v1/events%2finternal",
        "/health/live",
        "/metrics",
    ],
)
def test_what_is_not_public_is_closed_at_a_proxy(outside: Outside, path: str) -> None:
    method = "GET" if path in ("/health/live", "/metrics") else "POST"

    assert outside.ask(method, path, body="{}", Authorization=f"Bearer {SECRET}")[0] in (400, 404)
