"""A program on the published `async-zulip-bot-sdk`, unmodified: prints a line of JSON for each registration and event.

Run as a program: `sdk_reader.py ZULIPRC`. At first it registers and deregisters a queue, and prints the answer.
"""

import asyncio
import contextlib
import json
import sys
from typing import Any

from bot_sdk.async_zulip import AsyncClient

OUTPUT = sys.stdout
"""For lines of JSON; what the client prints by itself goes to standard error."""

TYPES = ["t"]


class Reader(AsyncClient):  # type: ignore[misc]  # the client is not installed where types are checked
    """The client, which also says when it registers."""

    async def register(self, *arguments: Any, **keywords: Any) -> Any:
        """Registers, and says so."""
        answer = await super().register(*arguments, **keywords)
        say("registered", answer.queue_id)
        return answer


def say(what: str, value: object) -> None:
    """Prints a line at once."""
    print(json.dumps({what: value}), file=OUTPUT, flush=True)


async def main(config_file: str) -> None:
    """The whole program."""
    client = Reader(config_file=config_file)
    registered = await client.register(event_types=TYPES)
    say("deregistered", await client.deregister(registered.queue_id))
    await client.call_on_each_event(lambda event: say("event", event.model_dump(exclude_unset=True)), TYPES)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        asyncio.run(main(sys.argv[1]))
