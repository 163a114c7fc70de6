"""The dump of stopped shards, in their directories on this machine: each queue in that of its user's shard."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import msgspec

from tidewire.auth.authenticator import UsersFileAuthenticator
from tidewire.cli.dump_server import Imported, Skipped
from tidewire.cli.dump_stopped import PIECE, Stopped, open_stopped
from tidewire.config import Settings
from tidewire.config.shard_settings import shard_directory
from tidewire.core.errors import StateError
from tidewire.core.ids import RealmId
from tidewire.core.shard_map import LOOPBACK, ShardMap
from tidewire.core.wire import list_pieces


class _Owner(msgspec.Struct):
    """Whose a dumped queue is."""

    user_profile_id: int
    realm_id: int


_PAIR = msgspec.json.Decoder(tuple[str, _Owner])


def finder(settings: Settings, shard_map: ShardMap) -> Callable[[int, int], int]:
    """What says which shard serves a user, by id and realm.

    Raises:
        UsersFileError: the users file, which has the hosts of realms, can't be read.
    """
    if shard_map.is_uniform:
        return lambda user, _: shard_map.shard_of(user, None)
    known = UsersFileAuthenticator(path=settings.auth.users_file)

    def shard_of(user: int, realm_id: int) -> int:
        realm = known.realm(RealmId(realm_id))
        return shard_map.shard_of(user, None if realm is None else realm.host)

    return shard_of


@contextlib.contextmanager
def open_group(settings: Settings, shard_map: ShardMap, *, must_exist: bool) -> Iterator["StoppedGroup"]:
    """Brings back the states of all shards whose directories are here; if none is yet, of all of this machine.

    Raises:
        StateError: one can't be read, or its server runs; or there is none, and there must be.
    """
    places = {index: _directory(settings, shard.port) for index, shard in enumerate(shard_map.shards)}
    here = [index for index, place in places.items() if place.is_dir()]
    if not here and must_exist:
        raise StateError(f"There are no state directories of shards in {settings.storage.directory}")
    if not here:
        here = [index for index, shard in enumerate(shard_map.shards) if shard.host == LOOPBACK]
    with contextlib.ExitStack() as stack:
        members = {
            index: stack.enter_context(
                open_stopped(replace(settings, storage=replace(settings.storage, directory=places[index])))
            )
            for index in here
        }
        yield StoppedGroup(members, shard_map, finder(settings, shard_map))


def _directory(settings: Settings, port: int) -> Path:
    return settings.storage.directory / shard_directory(port)


class StoppedGroup:
    """The states of the shards that are here.

    Attributes:
        missing: ports of the shards that are not.
    """

    def __init__(
        self, members: Mapping[int, Stopped], shard_map: ShardMap, shard_of: Callable[[int, int], int]
    ) -> None:
        self.members = members
        self._ports = [shard.port for shard in shard_map.shards]
        self._shard_of = shard_of
        self.missing = [port for index, port in enumerate(self._ports) if index not in members]

    def take(self, pairs: Sequence[msgspec.Raw]) -> Imported:
        """Imports each queue into the state of its user's shard, where that is here.

        Raises:
            Unavailable: they can't be kept.
        """
        places: dict[int, list[int]] = {}
        skipped: list[Skipped] = []
        for place, pair in enumerate(pairs):
            try:
                queue_id, owner = _PAIR.decode(pair)
            except msgspec.DecodeError:
                places.setdefault(next(iter(self.members)), []).append(
                    place
                )  # which says what is wrong with it
                continue
            shard = self._shard_of(owner.user_profile_id, owner.realm_id)
            if shard in self.members:
                places.setdefault(shard, []).append(place)
                continue
            reason = f"its user is the shard's on port {self._ports[shard]}, whose directory is not here"
            skipped.append(Skipped(place, queue_id, reason, exists=False))
        imported = 0
        for shard, own in places.items():
            outcome = self.members[shard].take([pairs[place] for place in own])
            imported += outcome.queues
            skipped += [each._replace(place=own[each.place]) for each in outcome.skipped]
        return Imported(imported, sorted(skipped))

    def pieces(self) -> Iterator[bytes]:
        """The dump of all queues; nothing changes on the disk."""
        return list_pieces(chain.from_iterable(each.written() for each in self.members.values()), PIECE)
