"""The reverse proxies of `deploy/`, run from these very files: ports, paths and certificates alone are changed."""

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from support.demo_server import running
from support.programs import require_programs
from support.server_process import free_port
from support.waiting import eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
UPSTREAM = "127.0.0.1:9800"

Configure = Callable[[Path, int, str], list[str]]
"""Writes the configuration into a folder, for a port and an upstream; returns the command that runs the proxy."""


def nginx(folder: Path, port: int, upstream: str) -> list[str]:
    """The nginx of `deploy/`."""
    return _nginx(folder, port, upstream, (DEPLOY / "nginx.conf").read_text())


def nginx_with_upgrades(folder: Path, port: int, upstream: str) -> list[str]:
    """The same, changed as people do who want WebSockets: offers to upgrade are passed on, bodies as they come."""
    site = (DEPLOY / "nginx.conf").read_text()
    ours = 'proxy_set_header Connection "";'
    assert ours in site
    passed_on = "proxy_set_header Connection $http_connection; proxy_set_header Upgrade $http_upgrade;"
    return _nginx(folder, port, upstream, site.replace(ours, f"{passed_on} proxy_request_buffering off;"))


def _nginx(folder: Path, port: int, upstream: str, site: str) -> list[str]:
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(UPSTREAM, upstream)
    site = site.replace("/etc/ssl/tidewire/fullchain.pem", f"{folder}/cert.pem")
    site = site.replace("/etc/ssl/tidewire/privkey.pem", f"{folder}/key.pem")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{ worker_connections 2048; }}\n"
    (folder / "nginx.conf").write_text(f"{head}http {{\naccess_log off;\n{paths}{site}}}\n")
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, upstream: str) -> list[str]:
    """The Caddy of `deploy/`."""
    site = (DEPLOY / "Caddyfile").read_text().replace(UPSTREAM, upstream)
    own = f"https://:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem"
    site = site.replace("chat.example.com {", own)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def haproxy(folder: Path, port: int, upstream: str) -> list[str]:
    """The HAProxy of `deploy/`."""
    both = (folder / "cert.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "both.pem").write_text(both)
    text = (DEPLOY / "haproxy.cfg").read_text().replace(UPSTREAM, upstream)
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
    text = text.replace("/etc/ssl/tidewire/chat.pem", f"{folder}/both.pem")
    # Without it HAProxy refuses more connections than this process may have files.
    text = re.sub(r"maxconn \d+", "maxconn 1000", text)
    (folder / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


PROXIES: Mapping[str, Configure] = MappingProxyType({"nginx": nginx, "caddy": caddy, "haproxy": haproxy})
"""As `deploy/` has them, by the names of their programs."""

VARIANTS: Mapping[str, Configure] = MappingProxyType({**PROXIES, "nginx-upgrades": nginx_with_upgrades})
"""With those that people make of them; the program's name comes first."""


@contextlib.contextmanager
def proxy(name: str, folder: Path, upstream_port: int, is_there: Callable[[int], bool]) -> Iterator[int]:
    """Runs one of the `VARIANTS` for the time of the block, and gives its port.

    Args:
        name: which.
        folder: an empty folder of its own.
        upstream_port: where the server listens on 127.0.0.1.
        is_there: whether the proxy at a port answers.
    """
    require_programs(name.partition("-")[0], "openssl")
    _certify(folder)
    port = free_port()
    command = VARIANTS[name](folder, port, f"127.0.0.1:{upstream_port}")
    log = folder / "proxy.log"
    with running(command, output=log, cwd=folder) as process:

        def looked_for() -> bool:
            assert process.poll() is None, log.read_text()
            return is_there(port)

        eventually(looked_for, what=f"{name} answers")
        yield port


def _certify(folder: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    about = ["-nodes", "-days", "1", "-subj", "/CN=test.example"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*made, *about, *files], check=True, capture_output=True)  # noqa: S603 - made here
