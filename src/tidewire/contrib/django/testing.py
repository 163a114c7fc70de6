"""For a project's own tests: what is committed, as the race checker of `tidewire.testing.races` wants to look at it.

    with Committed(user) as committed:
        checker = RaceChecker(
            read=committed.read, published=committed.notices, apply=committed.apply, user=user.pk
        )
        checker.check(lambda: say(channel, user, "hello"))

It looks from a thread, and so through a connection of its own, at a database that such a connection can see: not at
SQLite in memory, and not from within Django's `TestCase`, whose transaction never ends; use `TransactionTestCase`.
"""

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from django.apps import apps
from django.db import connections

from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.identity import described
from tidewire.contrib.django.providers import registered
from tidewire.core.users import User
from tidewire.initial_state import Asked, StateProvider
from tidewire.state import Apply, Event, State

T = TypeVar("T")


class Committed:
    """What a user would be given, and what the outbox would tell; a context manager.

    Args:
        user: whose state is read.
        fetch_types: the parts; all that there are when not given.
    """

    def __init__(self, user: Any, *, fetch_types: Iterable[str] | None = None) -> None:
        wanted = None if fetch_types is None else frozenset(fetch_types)
        self._asked = Asked(user=_as_known(user), realm=None, queue_id="race-checker", fetch_types=wanted)
        found = registered().values()
        self._providers = [each for each in found if self._asked.wants(each.fetch_type)]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="committed")
        self.apply: dict[str, Apply] = {each.fetch_type: _leaving(each) for each in self._providers}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._elsewhere(connections.close_all)
        self._thread.shutdown()

    def read(self) -> State:
        """The state that a registration would be answered with; providers must be plain functions."""
        return self._elsewhere(self._read)

    def notices(self) -> list[dict[str, Any]]:
        """What is in the outbox, in its order."""
        return self._elsewhere(_notices)

    def _read(self) -> State:
        whole: dict[str, Any] = {}
        for provider in self._providers:
            part = provider.read(self._asked)
            if not isinstance(part, dict):
                raise TypeError(f"{provider.fetch_type} is read by a coroutine")
            whole |= part
        return whole

    def _elsewhere(self, look: Callable[[], T]) -> T:
        return self._thread.submit(look).result()


def _notices() -> list[dict[str, Any]]:
    rows = apps.get_model("tidewire", "Outgoing").objects.using(conf().database)
    return [json.loads(row.content) for row in rows.filter(kind="notice").order_by("id")]


def _as_known(user: Any) -> User:
    told: Mapping[str, Any] = described(user)
    return User(id=told["id"], realm_id=told["realm_id"], email=told["email"], full_name=told["full_name"])


def _leaving(provider: StateProvider) -> Apply:
    """The provider's `apply`, which leaves what it is given as it is."""

    def apply(state: State, event: Event) -> State:
        if event.get("type") not in provider.event_types:
            return state
        changed = copy.deepcopy(dict(state))
        provider.apply(changed, event)
        return changed

    return apply
