"""The ways to a server that are attacked: directly, and through each proxy."""

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

from support.attack_run import Door
from support.fast_http import own_trust
from support.proxies import VARIANTS, proxy

DIRECT = "direct"
DOORS = (DIRECT, *VARIANTS)


@contextlib.contextmanager
def door(name: str, server_port: int, folder: Path) -> Iterator[Door]:
    """Opens one of the `DOORS` for the time of the block; `folder` is an empty one of its own."""
    if name == DIRECT:
        yield Door(name, server_port, is_proxy=False)
        return
    with proxy(name, folder, server_port, _is_there) as port:
        yield Door(name, port, is_proxy=True)


def _is_there(port: int) -> bool:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=own_trust())
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/api/v1/server_settings")
            with connection.getresponse() as response:
                return response.status == http.client.OK
        except OSError:
            return False
