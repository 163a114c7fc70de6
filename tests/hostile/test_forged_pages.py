"""What a page of another site can have a browser send: it makes no queue and ends none, whatever the browser leaves out."""

from pathlib import Path

import pytest

from support.door import SessionDoor
from support.lane_server import lane_server
from support.site import local_site

COOKIE = b"Cookie: session=ada\r\n"

MAKES_QUEUE = b"dont_block=true"

FORGED: dict[str, bytes] = {
    # What browsers without these headers send for an image of an address.
    "nothing": b"",
    "another site": b"Sec-Fetch-Site: cross-site\r\n",
    "another host of this site": b"Sec-Fetch-Site: same-site\r\n",
    "another origin": b"Origin: http://evil.example\r\n",
    "no origin that is known": b"Origin: null\r\n",
    "another page": b"Referer: http://evil.example/page\r\n",
    "a page with this host in its path": b"Referer: http://evil.example/http://test.example/\r\n",
}


@pytest.mark.parametrize("path", [b"/json/events", b"/json/v1/events"])
@pytest.mark.parametrize("lines", FORGED.values(), ids=FORGED)
async def test_no_page_of_another_site_makes_a_queue(tmp_path: Path, path: bytes, lines: bytes) -> None:
    local = local_site(tmp_path)
    async with lane_server(local.changed(door=SessionDoor(local.context.authenticator))) as server:
        head = b"GET %b?%b HTTP/1.1\r\nHost: test.example\r\n%b%b\r\n" % (path, MAKES_QUEUE, COOKIE, lines)
        (answer,) = await server.ask(head)
    assert answer.startswith(b"HTTP/1.1 403"), answer
    assert b"CSRF_FAILED" in answer
    assert local.engine.shard.queues() == 0


@pytest.mark.parametrize(
    "lines", [b"Sec-Fetch-Site: same-origin\r\n", b"Origin: http://test.example\r\n"], ids=["site", "origin"]
)
async def test_the_own_page_makes_one(tmp_path: Path, lines: bytes) -> None:
    local = local_site(tmp_path)
    async with lane_server(local.changed(door=SessionDoor(local.context.authenticator))) as server:
        head = b"GET /json/events?%b HTTP/1.1\r\nHost: test.example\r\n%b%b\r\n" % (
            MAKES_QUEUE,
            COOKIE,
            lines,
        )
        (answer,) = await server.ask(head)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert local.engine.shard.queues() == 1
