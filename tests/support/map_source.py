"""A publisher by way of a broker that splits notices by a shard map, with all that its readers must get."""

import random
from pathlib import Path
from typing import Any

from support.movers import Source
from support.whole_messages import message_event
from tidewire.publisher import Publisher

PAUSE = 0.01
"""Seconds between batches: a broker confirms faster than anybody takes."""


class MapSource(Source):
    """Publishes counts for some users, and now and then a public message, which all users hear."""

    public_share = 0.2

    def __init__(self, users: range, url: str, shard_map: Path, *, seed: int = 1) -> None:
        super().__init__(users, list)
        self.all_users = users
        self._chance = random.Random(seed)
        self.publisher = Publisher(url, shard_map=shard_map)

    def send(self, batches: int = 1) -> list[dict[str, Any]]:
        """Publishes so many batches; returns their notices."""
        sent: list[dict[str, Any]] = []
        for _ in range(batches):
            notices = [self._notice() for _ in range(self._batch)]
            self.publisher.send(notices)
            sent += notices
        return sent

    def _publish(self) -> None:
        if self.stopped.is_set():
            return  # whoever made it publishes by `send`
        with self.publisher:
            while not self.stopped.is_set():
                self.send()
                self.stopped.wait(PAUSE)

    def _notice(self) -> dict[str, Any]:
        notice = super()._notice()
        if self._chance.random() < self.public_share:
            event = message_event(self.count, stream_name="ops", realm_id=1)
            notice = {**notice, "event": event}
            for user_id in self.all_users:
                if user_id not in notice["users"]:
                    self.expected[user_id].append(self.count)
        return notice
