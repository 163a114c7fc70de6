"""A client for the benchmarks: one keep-alive connection, requests one after the other."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlencode

from users import SECRET, credentials

PUBLISHER = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}


class Talk:
    """Speaks to the server on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __enter__(self) -> Self:
        self._connection.connect()
        self._connection.auto_open = 0  # one connection, and no other when it ends
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None = None
    ) -> dict[str, Any]:
        """One request; only success will do."""
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        assert answer.status == 200, content
        assert isinstance(content, dict)
        return content

    def register(self, user: int, **parameters: str) -> str:
        """A new queue of a user."""
        form = {"Content-Type": "application/x-www-form-urlencoded", **as_user(user)}
        answer = self.ask("POST", "/api/v1/register", form, urlencode(parameters))
        return str(answer["queue_id"])


def as_user(user: int) -> dict[str, str]:
    """The headers of one of the users."""
    return {"Authorization": credentials(user), "User-Agent": "benchmark/1.0"}


def poll_path(queue_id: str, acknowledged: int, *, block: bool) -> str:
    """Where a queue is polled."""
    query = {"queue_id": queue_id, "last_event_id": acknowledged}
    return "/api/v1/events?" + urlencode(query if block else {**query, "dont_block": "true"})
