"""What both ways of speaking HTTP share: answers, failures, and how long to wait before trying again."""

import asyncio
import email.utils
import http.client
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from tidewire import TidewireError, __version__

#: Seconds until a connection must stand. A poll may wait long for its answer, but nothing does to connect.
CONNECT_TIMEOUT = 10.0

#: Seconds; a longer `Retry-After` is cut to this, so that one wrong header can't silence a client for days.
MAX_RETRY_AFTER = 3600.0

COMMON_HEADERS: Mapping[str, str] = MappingProxyType(
    {"User-Agent": f"TidewirePython/{__version__}", "Accept": "application/json"}
)
"""What every request says."""

TOO_MANY_REQUESTS = 429
FIRST_SERVER_ERROR = 500


class BadUrl(TidewireError, ValueError):
    """The server's address can't be used; the sentence says what is wrong, without repeating the address."""

    code = "BAD_URL"
    http_status = 400


class TransportFailed(TidewireError):
    """No whole answer came: no connection, a connection that broke, or no answer in time."""

    code = "CONNECTION_FAILED"
    http_status = 503
    retry_helps = True


def bearer(secret: str) -> dict[str, str]:
    """The header that shows a secret.

    Raises:
        ValueError: it can't stand there.
    """
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError("must be printable ASCII without spaces")
    return {"Authorization": f"Bearer {secret}"}


@dataclass(frozen=True, slots=True)
class Timing:
    """Where waiting, durations and chance come from; tests give their own.

    Attributes:
        sleep: waits that many seconds.
        clock: seconds that only ever grow, from any start.
        random: a number from 0 up to, but not including, 1.
    """

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random


REAL_TIMING = Timing()


@dataclass(frozen=True, slots=True)
class AsyncTiming:
    """Timing of calls on an event loop: the clock, and how to wait without blocking.

    Attributes:
        sleep: waits that many seconds.
        clock: seconds that only ever grow, from any start.
        random: a number from 0 up to, but not including, 1.
    """

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random


REAL_ASYNC_TIMING = AsyncTiming()


class Backoff:
    """How long to wait before trying again: exponential, with full jitter.

    Each wait is drawn between nothing and a ceiling that doubles from `first` to `limit` (both in seconds).
    The whole range is drawn from, so that many clients that lost one server don't come back together.
    """

    def __init__(self, *, first: float, limit: float, random: Callable[[], float]) -> None:
        self._first = first
        self._limit = limit
        self._random = random
        self._ceiling = first

    def next_delay(self, at_least: float | None = None) -> float:
        """Returns the next wait in seconds; `at_least` is what the server asked for, and is added to."""
        delay = self._random() * self._ceiling
        self._ceiling = min(self._limit, self._ceiling * 2)
        return delay + (at_least or 0.0)

    def reset(self) -> None:
        """Begins anew, after something succeeded."""
        self._ceiling = self._first


class Answer(NamedTuple):
    """A whole HTTP answer.

    Attributes:
        status: the HTTP status.
        headers: the headers; their names match in any case.
        json: the body when it is a JSON object, else None.
    """

    status: int
    headers: http.client.HTTPMessage
    json: dict[str, Any] | None

    @classmethod
    def of(cls, status: int, headers: http.client.HTTPMessage, body: bytes) -> "Answer":
        """Makes the answer of its three parts."""
        return cls(status, headers, _json_object(body))

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later, by its status alone."""
        return self.status >= FIRST_SERVER_ERROR or self.status == TOO_MANY_REQUESTS

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait (`Retry-After`), or None when it asks for nothing readable."""
        value = (self.headers.get("Retry-After") or "").strip()
        if value.isascii() and value.replace(".", "", 1).isdigit():
            return min(float(value), MAX_RETRY_AFTER)
        # A date is measured against the server's own, so that a wrong clock here doesn't matter.
        until, now = _http_date(value), _http_date(self.headers.get("Date"))
        return None if until is None or now is None else min(max(until - now, 0.0), MAX_RETRY_AFTER)


def error_of(answer: Answer) -> tuple[str, str, dict[str, Any]]:
    """Takes an error answer apart (R6.5): its code, its sentence, and its further members.

    What did not come from Tidewire, such as a proxy's page, gets the code `HTTP_ERROR`.
    """
    body = answer.json or {}
    code, sentence = body.get("code"), body.get("msg")
    if not isinstance(code, str):
        code = "HTTP_ERROR"
    if not isinstance(sentence, str):
        sentence = f"The server answered {answer.status} and did not say why"
    data = {key: value for key, value in body.items() if key not in ("result", "msg", "code")}
    return code, sentence, data


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _http_date(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except ValueError:
        return None
