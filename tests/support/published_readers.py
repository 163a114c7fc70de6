"""Published clients as people use them, several in one process: a line of JSON for each registration, event and gap.

Run as a program: `published_readers.py URL TYPES KIND:EMAIL:KEY...`; TYPES with commas between them, and KIND is
`zulip` for the client of that name, `sync` or `async` for ours. Each line has the time on the machine's clock.
"""

import asyncio
import contextlib
import json
import sys
import threading
import time
from typing import Any

import zulip

from tidewire.client import AsyncClient, Client

OUTPUT = sys.stdout
"""For lines of JSON; what clients print by themselves goes to standard error."""

TURN = threading.Lock()


class Reader:
    """What is done for any client."""

    def __init__(self, kind: str, email: str) -> None:
        self._named = {"kind": kind, "email": email}

    def say(self, **what: Any) -> None:
        """Prints a line at once."""
        line = json.dumps({**self._named, "at": time.monotonic(), **what})
        with TURN:
            print(line, file=OUTPUT, flush=True)


class Zulip(zulip.Client):
    """The published client, which also says when it registers."""

    reader: Reader

    def register(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        """Registers, and says so."""
        answer: dict[str, Any] = super().register(*arguments, **keywords)
        if answer.get("result") == "success":
            self.reader.say(registered=answer["queue_id"])
        return answer


def read_by_zulip(url: str, types: list[str], reader: Reader, email: str, key: str) -> None:
    """The published client."""
    client = Zulip(site=url, email=email, api_key=key)
    client.reader = reader
    client.call_on_each_event(lambda event: reader.say(event=event), event_types=types)


def read(url: str, types: list[str], reader: Reader, email: str, key: str) -> None:
    """Our own client; it registers at once, so whoever sees the line has a queue."""
    with Client(url, email=email, api_key=key) as client:
        events = client.events(event_types=types, on_gap=lambda gap: reader.say(gap=str(gap)))
        reader.say(registered="")
        for event in events:
            reader.say(event=event)


async def read_async(url: str, types: list[str], reader: Reader, email: str, key: str) -> None:
    """The same, with asyncio."""
    async with AsyncClient(url, email=email, api_key=key) as client:
        events = await client.events(event_types=types, on_gap=lambda gap: reader.say(gap=str(gap)))
        reader.say(registered="")
        async for event in events:
            reader.say(event=event)


def main(url: str, types: list[str], who: list[str]) -> None:
    """All of them, each on a thread."""
    threads = []
    for each in who:
        kind, email, key = each.split(":")
        reader = Reader(kind, email)
        work = {"zulip": read_by_zulip, "sync": read}.get(kind, run_async)
        threads.append(threading.Thread(target=work, args=(url, types, reader, email, key)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_async(url: str, types: list[str], reader: Reader, email: str, key: str) -> None:
    """A loop for the client that wants one."""
    asyncio.run(read_async(url, types, reader, email, key))


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        main(sys.argv[1], sys.argv[2].split(","), sys.argv[3:])
