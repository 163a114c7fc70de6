"""A long-poll server as plain ASGI on uvicorn, to compare with: what the usual stack costs without any extras.

It knows no users, checks nothing and keeps nothing. `python plain_asgi.py PORT` runs it.
"""

import asyncio
import sys
from urllib.parse import parse_qs

import uvicorn
from starlette.types import Receive, Scope, Send


class Queue:
    """The events of one client, and the poll that waits for some."""

    def __init__(self) -> None:
        self.events: list[tuple[int, bytes]] = []
        self.next_id = 0
        self.came = asyncio.Event()


QUEUES: dict[str, Queue] = {}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """GET polls a queue, which is made when it is named first; POST publishes to `k` queues from the `off`th."""
    query = parse_qs(scope["query_string"].decode())
    if scope["method"] == "POST":
        await _answer(send, _publish(await _body(receive), int(query["k"][0]), int(query["off"][0])))
    else:
        await _answer(send, await _poll(query["queue_id"][0], int(query["last_event_id"][0])))


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _publish(body: bytes, count: int, first: int) -> bytes:
    queues = list(QUEUES.values())
    for index in range(min(count, len(queues))):
        queue = queues[(first + index) % len(queues)]
        queue.events.append((queue.next_id, body[:-1]))
        queue.next_id += 1
        queue.came.set()
    return b"{}"


async def _poll(queue_id: str, acknowledged: int) -> bytes:
    queue = QUEUES.setdefault(queue_id, Queue())
    queue.events = [event for event in queue.events if event[0] > acknowledged]
    while not queue.events:
        queue.came.clear()
        await queue.came.wait()
    events = b",".join(b'%b,"id":%d}' % (body, number) for number, body in queue.events)
    return b'{"result":"success","msg":"","events":[%b],"queue_id":"%b"}' % (events, queue_id.encode())


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        application,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        backlog=4096,
        timeout_graceful_shutdown=1,  # else it waits for the polls
    )
