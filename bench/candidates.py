"""The servers that are compared: the floor in C, this one, plain ASGI, and nchan where nginx has it.

Each is started anew for every run, on one core, with one process that serves.
"""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from building import built
from load import EVENT, Target
from processes import free_port, serving
from users import SECRET, serve_command, write_users

FLOOR = "floor in C"
OURS = "Tidewire"
SHARED = "nchan, one channel for all"
"""Can only tell all of them the same."""

NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
"""Where Debian's libnginx-mod-nchan has it."""

Start: TypeAlias = Callable[[Path, int], AbstractContextManager[Target]]
"""Starts it in a folder for a number of users."""


class Candidate(NamedTuple):
    """One server, and what is published to it so that the first `count` clients get it."""

    start: Start
    body: Callable[[int], str] = lambda _: EVENT


def tidewire(*settings: str) -> Candidate:
    """This server with `section.key=value` settings; all else as it comes."""

    @contextlib.contextmanager
    def start(folder: Path, users: int) -> Iterator[Target]:
        port = free_port()
        write_users(folder, users)
        with serving(serve_command(port, *settings), port=port, folder=folder) as process:
            yield Target(pid=process.pid, port=port, options=OPTIONS)

    return Candidate(start, lambda count: notice(range(1, count + 1)))


OPTIONS = (
    *("--register-path", "/api/v1/register"),
    *("--register-body", "fetch_event_types=[]"),
    *("--pub-path", "/api/internal/notices"),
    *("--pub-header", f"Authorization: Bearer {SECRET}"),
    *("-H", "User-Agent: fanout/1.0 (longpoll benchmark)"),
    *("-H", "Authorization: Basic {basic}"),
    *("-H", "Accept: application/json"),
)
"""How the generator speaks to this server: each client as a user of its own."""


def notice(users: range) -> str:
    """The event as a notice to these users."""
    return f'{{"event":{EVENT},"users":[{",".join(map(str, users))}]}}'


@contextlib.contextmanager
def _floor(folder: Path, _users: int) -> Iterator[Target]:
    port = free_port()
    with serving([built("floor"), str(port)], port=port, folder=folder) as process:
        yield Target(pid=process.pid, port=port, options=())


@contextlib.contextmanager
def _plain_asgi(folder: Path, _users: int) -> Iterator[Target]:
    port = free_port()
    program = Path(__file__).with_name("plain_asgi.py")
    with serving([sys.executable, program, str(port)], port=port, folder=folder) as process:
        yield Target(pid=process.pid, port=port, options=())


def _nchan(*options: str) -> Candidate:
    @contextlib.contextmanager
    def start(folder: Path, _users: int) -> Iterator[Target]:
        port = free_port()
        (folder / "nginx.conf").write_text(NGINX_CONF % {"folder": folder, "port": port})
        with serving(["nginx", "-c", folder / "nginx.conf"], port=port, folder=folder) as process:
            yield Target(
                pid=process.pid,
                port=port,
                options=(
                    *("--echo", "Etag=If-None-Match"),
                    *("--echo", "Last-Modified=If-Modified-Since"),
                    *options,
                ),
            )

    return Candidate(start)


NGINX_CONF = f"""
load_module {NCHAN_MODULE};
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid %(folder)s/pid;
error_log %(folder)s/errors warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600;
  client_body_buffer_size 1m;
  nchan_shared_memory_size 1024M;
  server {{
    listen 127.0.0.1:%(port)d backlog=4096;
    location /sub {{
      nchan_subscriber longpoll;
      nchan_channel_id $arg_id;
      nchan_subscriber_first_message newest;
    }}
    location /pub {{
      nchan_publisher;
      nchan_channel_id $arg_id;
      nchan_message_buffer_length 50;
    }}
  }}
}}
"""


def installed() -> Mapping[str, Candidate]:
    """All that can run on this machine, the floor first."""
    candidates = {FLOOR: Candidate(_floor), OURS: tidewire(), "plain ASGI on uvicorn": Candidate(_plain_asgi)}
    if NCHAN_MODULE.exists() and shutil.which("nginx"):
        shared = ("--poll-path", "/sub?id=all", "--pub-path", "/pub?id=all")
        own = ("--poll-path", "/sub?id={q}", "--pub-path", "/pub?id={q}", "--per-client")
        candidates[SHARED] = _nchan(*shared)
        candidates["nchan, a channel per client"] = _nchan(*own)
    else:
        print("\nnchan is not installed (apt-get install nginx libnginx-mod-nchan), and left out")
    return MappingProxyType(candidates)


def with_own_queues() -> Mapping[str, Candidate]:
    """Those that can tell something to a few of the clients."""
    return {name: one for name, one in installed().items() if name != SHARED}
