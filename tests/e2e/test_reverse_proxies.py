"""The proxies of `deploy/`, where their programs are installed: TLS outside, polls through, the rest closed."""

import contextlib
import http.client
import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.demo_server import running
from support.programs import require_programs
from support.server_process import SECRET, ServerProcess, credentials, free_port
from support.waiting import eventually

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "deploy"
UPSTREAM = "127.0.0.1:9800"


def nginx(folder: Path, port: int, upstream: str) -> list[str]:
    site = (DEPLOY / "nginx.conf").read_text()
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(UPSTREAM, upstream)
    site = site.replace("/etc/ssl/tidewire/fullchain.pem", f"{folder}/cert.pem")
    site = site.replace("/etc/ssl/tidewire/privkey.pem", f"{folder}/key.pem")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{head}http {{\naccess_log off;\n{paths}{site}}}\n")
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, upstream: str) -> list[str]:
    site = (DEPLOY / "Caddyfile").read_text().replace(UPSTREAM, upstream)
    own = f"https://:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem"
    site = site.replace("chat.example.com {", own)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def haproxy(folder: Path, port: int, upstream: str) -> list[str]:
    both = (folder / "cert.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "both.pem").write_text(both)
    text = (DEPLOY / "haproxy.cfg").read_text().replace(UPSTREAM, upstream)
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
    text = text.replace("/etc/ssl/tidewire/chat.pem", f"{folder}/both.pem")
    # Without it HAProxy refuses more connections than this process may have files.
    text = re.sub(r"maxconn \d+", "maxconn 100", text)
    (folder / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


COMMANDS = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}


class Outside:
    """What a client on the internet sees."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._trust = ssl.create_default_context()
        self._trust.check_hostname = False
        self._trust.verify_mode = ssl.CERT_NONE  # the certificate is the test's own

    def ask(self, method: str, path: str, *, body: str = "", **headers: str) -> tuple[int, str]:
        """Status and body of one request."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=self._trust)
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


@pytest.fixture(params=COMMANDS)
def outside(
    request: pytest.FixtureRequest, tmp_path: Path, shared_server: ServerProcess
) -> Iterator[Outside]:
    program = request.param
    require_programs(program, "openssl")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=test.example",
    ]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*made, *files], check=True, capture_output=True)  # noqa: S603 - made here
    port = free_port()
    command = COMMANDS[program](tmp_path, port, f"127.0.0.1:{shared_server.port}")
    log = tmp_path / "proxy.log"
    with running(command, output=log, cwd=tmp_path) as process:
        proxied = Outside(port)

        def is_there() -> bool:
            assert process.poll() is None, log.read_text()
            return proxied.is_there()

        eventually(is_there, what=f"{program} answers")
        yield proxied


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
    waiting.join(30)
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
