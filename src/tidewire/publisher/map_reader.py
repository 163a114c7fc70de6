"""The shard map's file, as a publisher reads it: who is where by the map in force, and whether there is a newer one.

It is read when it is made, and looked at again now and then, which costs a `stat`. A file that is wrong changes nothing.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tidewire.publisher.errors import BAD_SHARD_MAP, PublishFailed
from tidewire.publisher.routing import ShardQueues, ShardsByRealm
from tidewire.sharding.map_file import BadShardMap, form_of, map_of_text
from tidewire.sharding.shard_map import ShardMap, among

LOOK_EVERY = 1.0
"""Seconds between looks at the file."""

NO_HOSTS: Mapping[int, str] = MappingProxyType({})

log = logging.getLogger("tidewire.publisher")


class MapShards(ShardsByRealm):
    """Who is where by one map.

    A realm whose host is not known has the shards of `default`; where that is wrong, the shard that gets a notice sends
    it on (R8.5).
    """

    def __init__(self, shard_map: ShardMap, realm_hosts: Mapping[int, str] = NO_HOSTS) -> None:
        self.map = shard_map
        self._hosts = realm_hosts

    def in_realm(self, realm_id: int | None) -> "RealmShards":
        """The shards of a realm's users; with None, of users whose realm is not known."""
        host = None if realm_id is None else self._hosts.get(realm_id)
        group = self.map.shards_of_realm(host)
        return RealmShards(tuple(self.map.queue_name(shard) for shard in group))

    def queue_of(self, user_id: int) -> str:
        """The queue of a user whose realm is not known."""
        return self.in_realm(None).queue_of(user_id)

    def queues(self, realm_id: int | None) -> tuple[str, ...]:
        """The queues of a realm's shards."""
        return self.in_realm(realm_id).names


class RealmShards(ShardQueues):
    """The queues of one realm's shards."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def queue_of(self, user_id: int) -> str:
        """The user's queue."""
        return among(self.names, user_id)

    def queues(self, realm_id: int | None) -> tuple[str, ...]:
        """All of them."""
        del realm_id
        return self.names


class MapFile:
    """The file.

    Attributes:
        shards: by the map in force.
        newer: by the one that is to take its place, if there is one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        realm_hosts: Mapping[int, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads it.

        Raises:
            PublishFailed: it can't be read, or is no map (`BAD_SHARD_MAP`).
        """
        self.path = Path(path)
        self._hosts = NO_HOSTS if realm_hosts is None else realm_hosts
        self._clock = clock
        self._looked = clock()
        self._seen = self._stamp()
        self.shards = MapShards(self._read(), self._hosts)
        self.newer: MapShards | None = None
        self._newer_since = 0.0

    def look(self) -> None:
        """Reads it again if it has changed, at most once a second; what is wrong with it is logged."""
        now = self._clock()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            self._take(stamp)
        except PublishFailed as error:
            log.warning("%s; version %d stays in force", error.message, self.shards.map.version)

    def load(self) -> None:
        """Reads it again in any case.

        Raises:
            PublishFailed: it can't be read or is no newer map (`BAD_SHARD_MAP`); nothing has changed.
        """
        self._looked = self._clock()
        self._take(self._stamp())

    def seconds_waiting(self) -> float:
        """For how long there has been a newer map that is not in force."""
        return self._clock() - self._newer_since

    def switch(self) -> None:
        """Puts the newer map in force."""
        if self.newer is not None:
            self.shards, self.newer = self.newer, None

    def _take(self, stamp: tuple[int, ...]) -> None:
        # What is wrong now is told of once, and read again when it has changed.
        self._seen = stamp
        found = self._read()
        newest = (self.newer or self.shards).map
        if found == newest:
            return
        if found.version <= newest.version:
            raise self._bad(
                f"its version is {found.version}; a changed map needs a version above {newest.version}"
            )
        if self.newer is None:
            self._newer_since = self._clock()
        self.newer = MapShards(found, self._hosts)

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = self.path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> ShardMap:
        try:
            return map_of_text(self.path.read_bytes().decode(), form=form_of(self.path.name))
        except OSError as error:
            raise self._bad(f"it can't be read: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError:
            raise self._bad("it is not in UTF-8") from None
        except BadShardMap as error:
            raise self._bad(str(error)) from None

    def _bad(self, problem: str) -> PublishFailed:
        return PublishFailed(f"The shard map {self.path} can't be used: {problem}", code=BAD_SHARD_MAP)
