"""A bot on the published client `zulip`, unmodified: prints a line of JSON for each registration and event.

Run as a program: `zulip_reader.py URL EMAIL KEY`.
"""

import json
import sys
from typing import Any

import zulip


class Reader(zulip.Client):
    """The client, which also says when it registers."""

    def register(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        """Registers, and says so."""
        answer: dict[str, Any] = super().register(*arguments, **keywords)
        say("registered", answer.get("queue_id"))
        return answer


def say(what: str, value: object) -> None:
    """Prints a line at once."""
    sys.stdout.write(json.dumps({what: value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    url, email, key = sys.argv[1:]
    Reader(site=url, email=email, api_key=key).call_on_each_event(lambda event: say("event", event))
