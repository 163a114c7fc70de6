"""Handing users over: the conversation between shards, step by step (docs: the hand-over of a user).

Each step stands in the journal before the other side hears of it, and may be taken again. So whatever fails is simply
tried again after a while, and a process that comes back goes on where the journal says.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.cluster.peers import Peers, ask_status, send_chunk
from tidewire.core.errors import WireError
from tidewire.core.ids import RealmId, UserId
from tidewire.engine.transfer import RelocationSteps
from tidewire.sharding.shard_map import ShardMap, decode_map, encode_map

BATCH = 100
"""Users who move together: a few milliseconds of work on each side."""

BATCH_BYTES = 1_000_000
"""Of their queues; a batch doesn't end within a user."""

LOOK_AT = 1000
"""Users who are looked at without a turn of the loop."""

FIRST_WAIT, LONGEST_WAIT = 0.05, 0.5
"""Seconds until what failed, or is not so far yet, is looked at again."""

SURE_AFTER = 2.0
"""Seconds for which a shard that begins waits for the word of others that don't answer."""


class RelocationCoordinator:
    """One shard's part in it; `run` is its life."""

    def __init__(
        self,
        relocation_steps: RelocationSteps,
        peers: Peers,
        *,
        log: FilteringBoundLogger,
        timer: Callable[[], float],
    ) -> None:
        self._relocation_steps = relocation_steps
        self._peers = peers
        self._log = log
        self._timer = timer
        self._wake = asyncio.Event()
        self._left: deque[UserId] | None = None
        """Users who are still to be looked at; None until it is known who there is."""
        self._waiting: defaultdict[int, deque[UserId]] = defaultdict(deque)
        """Those who are to move, by where to."""
        self._knows_ids: set[int] = set()
        """Shards that have the ids that were remembered here."""
        self._told = ""
        self._told_at = 0.0
        self.longest_hold = 0.0
        """Seconds for which users were held at most, in the newest hand-over."""

    def adopt_initial_map(self, given: ShardMap) -> str | None:
        """At a start: goes by the map that the journal tells of, or by the given one if that is newer.

        Returns what is wrong with the given one, if it is not used.
        """
        relocations = self._relocation_steps.relocations
        if relocations.version:
            self._live()
        else:
            self._take(given, None)
        # The first map of all needs nobody's word. Another may be one that is about to be put in force.
        self._peers.unsure = relocations.is_first and relocations.version > 1 and bool(self._peers.others())
        return None if encode_map(given) == relocations.after else self.take_map(given)

    def take_map(self, newer: ShardMap, before: ShardMap | None = None) -> str | None:
        """Lives under a newer map from here on, and hands over who is elsewhere by it; says why not, if it can't.

        Args:
            newer: the map.
            before: the one that all others had before, for a shard that began with the newer one, or was away meanwhile.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        relocations, peers = self._relocation_steps.relocations, self._peers
        if newer == peers.map:
            # A shard that began with this map learns where its users are to come from. So does one that had nobody,
            # was stopped, and came back with it: the map before may be none that it knew.
            came_with_it = relocations.is_first or not (
                relocations.agreed or self._relocation_steps.totals[0]
            )
            is_older = before is not None and before.version < newer.version
            if before is not None and is_older and came_with_it and relocations.before != encode_map(before):
                self._take(newer, before)
            return None
        if relocations.under_way:
            return f"the hand-over to version {relocations.version} is not over"
        problem = peers.problem_with(newer)
        if problem is None and before is not None and before != peers.map:
            problem = f"this shard lives under version {peers.map.version}, which is not the map before it"
        if problem is None:
            self._take(newer, peers.map)
        return problem

    def _take(self, newer: ShardMap, before: ShardMap | None) -> None:
        peers = self._peers
        shards = max(len(one.shards) for one in (newer, before or newer))
        self._relocation_steps.take_map(
            version=newer.version,
            before=b"" if before is None else encode_map(before),
            after=encode_map(newer),
            index=peers.index,
            others=[shard for shard in range(shards) if shard != peers.index],
        )
        self._live()
        if before is not None:
            self._log.info("hand-over begins", version=newer.version, before=before.version)

    def _live(self) -> None:
        relocations = self._relocation_steps.relocations
        before = decode_map(relocations.before) if relocations.before else None
        self._peers.use_map(decode_map(relocations.after), before)
        self._left = None
        self._waiting.clear()
        self._knows_ids.clear()
        self.longest_hold = 0.0
        self._wake.set()

    # The life.

    async def run(self) -> None:
        """Does what there is to do until it is cancelled."""
        wait = FIRST_WAIT
        sure_at = self._timer() + SURE_AFTER
        while True:
            if not (self._peers.unsure or self._relocation_steps.relocations.under_way):
                self._end()
                self._wake.clear()
                await self._wake.wait()
                continue
            went_on = False
            try:
                went_on = await (self._make_sure(sure_at) if self._peers.unsure else self._round())
            except (WireError, TimeoutError) as error:
                self._note(str(error))
            except Exception:  # noqa: BLE001 - whatever it is, the hand-over must go on
                self._log.exception("hand-over failed")
            wait = FIRST_WAIT if went_on else min(LONGEST_WAIT, wait * 2)
            await asyncio.sleep(wait)

    async def _make_sure(self, sure_at: float) -> bool:
        """Whether the map that a shard began with is in force: others live under it, and none under an older one."""
        peers = self._peers
        version = peers.map.version
        said: list[dict[str, Any]] = []
        for shard in peers.others():
            with contextlib.suppress(WireError):
                said.append(await ask_status(peers, shard))
        befores = (one["before_map"] for one in said if one["version"] == version)
        before = next(filter(None, befores), None)
        if before is not None:
            self.take_map(peers.map, decode_map(before))
        elif any(one["version"] < version for one in said):
            self._note(f"version {version} of the map is not in force yet")
            return False
        elif len(said) == len(peers.others()) or self._timer() > sure_at:
            peers.unsure = False
            peers.changed()
        return not peers.unsure

    def _end(self) -> None:
        peers = self._peers
        if peers.before is not None:
            peers.use_map(peers.map, None)
            self._log.info("hand-over is over", version=peers.map.version)

    def _note(self, problem: str) -> None:
        """What keeps it from going on is said once, not with each try."""
        if problem != self._told:
            self._told_at = self._timer()
            self._log.warning("hand-over waits", reason=problem)
        self._told = problem

    async def _round(self) -> bool:
        """One try at everything; whether it came further."""
        relocations = self._relocation_steps.relocations
        if not relocations.agreed and not await self._agree():
            return False
        went_on = False
        if relocations.closed < relocations.version:
            await self._hand_over()
            went_on = True
        return await self._settle() or went_on

    async def _agree(self) -> bool:
        """Whether all others know of it."""
        version = self._relocation_steps.relocations.version
        for shard in self._peers.others():
            said = await ask_status(self._peers, shard)
            if int(said["version"]) < version or said["unsure"]:
                self._note(f"shard {self._peers.address(shard).port} does not know the map yet")
                return False
            if said["before_map"] not in (None, self._relocation_steps.relocations.before.decode()):
                self._note(
                    f"shard {self._peers.address(shard).port} goes by another map before this one; "
                    "run `tidewire shards apply` with the newer one"
                )
                return False
        self._relocation_steps.agree()
        self._peers.agreed()
        return True

    async def _settle(self) -> bool:
        """Asks the others how far they are; whether one more has finished."""
        relocations, peers = self._relocation_steps.relocations, self._peers
        before = len(relocations.awaited)
        for shard in list(relocations.awaited):
            said = await ask_status(self._peers, shard)
            if said["closed"] >= relocations.version and said["splits_by"] >= relocations.version:
                self._relocation_steps.settle_shard(shard)
                peers.changed()
        self._told = ""
        return len(relocations.awaited) < before

    # Handing over.

    async def _hand_over(self) -> None:
        """Everybody who is elsewhere by the new map; returns when nobody is left."""
        relocation_steps = self._relocation_steps
        for shard, users in relocation_steps.relocations.users("moving").items():
            await self._move(shard, users)
        while True:
            await self._look()
            if not any(self._waiting.values()):
                break
            for shard, waiting in self._waiting.items():
                if waiting:
                    await self._move_on(shard, waiting)
                    # Whoever was held has a turn before the next.
                    await asyncio.sleep(0)
        # Since the last look nothing has waited.
        relocation_steps.close()
        self._log.info("all users handed over", version=relocation_steps.relocations.version)

    async def _look(self) -> None:
        """Sorts those who are to move; when it returns, everybody has been looked at."""
        relocation_steps = self._relocation_steps
        if self._left is None:
            self._left = deque(relocation_steps.users_to_move())
        left = self._left
        left.extend(relocation_steps.drain_changed_users())
        while left:
            for _ in range(min(LOOK_AT, len(left))):
                self._sort(left.popleft())
            if left:
                await asyncio.sleep(0)
            left.extend(relocation_steps.drain_changed_users())

    def _sort(self, user_id: UserId) -> None:
        peers = self._peers
        given = self._relocation_steps.realm_of(user_id)
        realm_id = peers.realm_of(user_id, None if given is None else RealmId(given))
        before, after = peers.old_and_new_shard(user_id, realm_id)
        if before == peers.index != after and user_id not in self._relocation_steps.relocations.absent:
            self._waiting[after].append(user_id)

    async def _move_on(self, shard: int, waiting: deque[UserId]) -> None:
        """Has the next of those who wait move; whoever has not begun when that fails waits on."""
        await self._prepare(shard)
        users = self._batch(waiting)
        try:
            await self._move(shard, users)
        except BaseException:
            absent = self._relocation_steps.relocations.absent
            waiting.extendleft(user_id for user_id in users if user_id not in absent)
            raise

    def _batch(self, waiting: deque[UserId]) -> list[UserId]:
        users: dict[UserId, None] = {}
        size = 0
        while waiting and len(users) < BATCH and size < BATCH_BYTES:
            user_id = waiting.popleft()
            users[user_id] = None
            size += self._relocation_steps.size_of(user_id)
        return list(users)

    async def _prepare(self, shard: int) -> None:
        """Makes sure that the other can take users, before these are held."""
        await ask_status(self._peers, shard)
        if shard in self._knows_ids:
            return
        for chunk in self._relocation_steps.tables():
            await send_chunk(self._peers, shard, chunk)
        self._knows_ids.add(shard)

    async def _move(self, shard: int, users: Sequence[UserId]) -> None:
        """Has users move, or move on; if it fails they stay on the way, and the next round tries again."""
        relocation_steps = self._relocation_steps
        began = self._timer()
        await self._prepare(shard)
        slot: AwaitableWaiter[None] = AwaitableWaiter()
        relocation_steps.begin(users, shard, slot)
        await slot.wait()
        named = {"to": self._peers.address(shard).port, "users": len(users)}
        self._log.debug("users move", **named)
        for chunk in relocation_steps.chunks(users):
            await send_chunk(self._peers, shard, chunk)
        relocation_steps.finish(users)
        self._log.debug("users moved", **named)
        self._peers.changed()
        self.longest_hold = max(self.longest_hold, self._timer() - began)
        self._told = ""

    # Telling.

    @property
    def neighbours(self) -> Peers:
        """The shards, and where users are."""
        return self._peers

    @property
    def waits(self) -> tuple[str, float] | None:
        """What keeps a hand-over from going on, and for how many seconds; None when nothing does."""
        if not (self._told and (self._peers.unsure or self._relocation_steps.relocations.under_way)):
            return None
        return self._told, self._timer() - self._told_at

    @property
    def left(self) -> int:
        """How many users are to move or moving, as far as that is known."""
        return sum(
            map(len, [*self._waiting.values(), *self._relocation_steps.relocations.users("moving").values()])
        )

    def port_of(self, shard: int) -> int:
        """The port of a shard of one of the maps."""
        return self._peers.address(shard).port
