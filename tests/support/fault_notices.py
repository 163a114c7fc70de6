"""The notices of the fault harness: of every kind that is kept in a way of its own, numbered so that each can be told."""

from collections.abc import Sequence
from random import Random
from typing import Any

from support.events import Json, flags
from support.oracle import STRIDE, Sent
from support.whole_messages import message_event, recipients

PADDING = 200
"""Bytes that make an ordinary event as large as those of real applications."""


class Publisher:
    """Makes one publisher's notices, one after the other."""

    def __init__(self, number: int, users: Sequence[int], chance: Random) -> None:
        """Takes its number, from 1 on, and the users that it publishes for."""
        self.number = number
        self._users = users
        self._chance = chance
        self._made = 0

    def next_batch(self) -> list[Sent]:
        """The notices of the next request: mostly one."""
        return [self._next() for _ in range(self._chance.choice([1, 1, 1, 2, 5]))]

    def for_everybody(self, **more: Any) -> Sent:
        """An ordinary notice for all users, with `more` in its event."""
        return self._make("plain", self._users, **more)

    def _next(self) -> Sent:
        chance = self._chance
        most = min(len(self._users), chance.choice([1, 3, 10, 30]))
        users = chance.sample(self._users, chance.randint(1, most))
        return self._make(
            chance.choice(["plain", "plain", "plain", "read", "read", "starred", "message"]), users
        )

    def _make(self, kind: str, users: Sequence[int], **more: Any) -> Sent:
        self._made += 1
        chance = self._chance
        number = self.number * STRIDE + self._made * 3
        notice_id = f"publisher {self.number} notice {self._made}"
        numbers = [number]
        recipients_: Sequence[int | Json] = users
        if kind == "plain":
            event: Json = {
                "type": "harness",
                "publisher": self.number,
                "number": number,
                "text": "x" * PADDING,
                **more,
            }
        elif kind == "message":
            # All of them are away, so that each is notified, once by push and once by email.
            event = message_event(number, direct=True, presence_idle_user_ids=users)
            recipients_ = recipients(users)
        else:
            numbers = [number + more for more in range(chance.randint(1, 3))]
            event = flags("add", kind, numbers)
        return Sent(
            notice_id=notice_id,
            body={"id": notice_id, "realm_id": 1, "event": event, "users": list(recipients_)},
            users=frozenset(users),
            stream=(self.number, kind if kind in {"read", "starred"} else ""),
            numbers=tuple(numbers),
            notifies=kind == "message",
        )
