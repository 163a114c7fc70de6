"""A bot on the published client `zulip`, unmodified: prints a line of JSON for each registration and event.

Run as a program: `zulip_reader.py URL EMAIL KEY [messages]`; with `messages`, a line for each message instead.
"""

import contextlib
import json
import sys
from typing import Any

import zulip

OUTPUT = sys.stdout
"""For lines of JSON; what the client prints by itself goes to standard error."""


class Reader(zulip.Client):
    """The client, which also says when it registers."""

    def register(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        """Registers, and says so."""
        answer: dict[str, Any] = super().register(*arguments, **keywords)
        say("registered", answer.get("queue_id"))
        return answer


def say(what: str, value: object) -> None:
    """Prints a line at once."""
    print(json.dumps({what: value}), file=OUTPUT, flush=True)


if __name__ == "__main__":
    url, email, key, *rest = sys.argv[1:]
    reader = Reader(site=url, email=email, api_key=key)
    with contextlib.redirect_stdout(sys.stderr):
        if rest == ["messages"]:
            reader.call_on_each_message(lambda message: say("message", message))
        reader.call_on_each_event(lambda event: say("event", event))
