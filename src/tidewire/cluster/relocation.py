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

from tidewire.cluster.awaitable import AsgiSlot
from tidewire.cluster.peers import Neighbours, ask_status, send_chunk
from tidewire.core.errors import WireError
from tidewire.core.ids import RealmId, UserId
from tidewire.engine.transfer import Handing
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


class HandOver:
    """One shard's part in it; `run` is its life."""

    def __init__(
        self,
        handing: Handing,
        neighbours: Neighbours,
        *,
        log: FilteringBoundLogger,
        timer: Callable[[], float],
    ) -> None:
        self._handing = handing
        self._neighbours = neighbours
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

    def take_up(self, given: ShardMap) -> str | None:
        """At a start: goes by the map that the journal tells of, or by the given one if that is newer.

        Returns what is wrong with the given one, if it is not used.
        """
        moves = self._handing.moves
        if moves.version:
            self._live()
        else:
            self._take(given, None)
        # The first map of all needs nobody's word. Another may be one that is about to be put in force.
        self._neighbours.unsure = moves.is_first and moves.version > 1 and bool(self._neighbours.others())
        return None if encode_map(given) == moves.after else self.take_map(given)

    def take_map(self, newer: ShardMap, before: ShardMap | None = None) -> str | None:
        """Lives under a newer map from here on, and hands over who is elsewhere by it; says why not, if it can't.

        Args:
            newer: the map.
            before: the one that all others had before, for a shard that began with the newer one, or was away meanwhile.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        moves, neighbours = self._handing.moves, self._neighbours
        if newer == neighbours.map:
            # A shard that began with this map learns where its users are to come from. So does one that had nobody,
            # was stopped, and came back with it: the map before may be none that it knew.
            came_with_it = moves.is_first or not (moves.agreed or self._handing.totals[0])
            is_older = before is not None and before.version < newer.version
            if before is not None and is_older and came_with_it and moves.before != encode_map(before):
                self._take(newer, before)
            return None
        if moves.under_way:
            return f"the hand-over to version {moves.version} is not over"
        problem = neighbours.problem_with(newer)
        if problem is None and before is not None and before != neighbours.map:
            problem = (
                f"this shard lives under version {neighbours.map.version}, which is not the map before it"
            )
        if problem is None:
            self._take(newer, neighbours.map)
        return problem

    def _take(self, newer: ShardMap, before: ShardMap | None) -> None:
        neighbours = self._neighbours
        shards = max(len(one.shards) for one in (newer, before or newer))
        self._handing.take_map(
            version=newer.version,
            before=b"" if before is None else encode_map(before),
            after=encode_map(newer),
            index=neighbours.index,
            others=[shard for shard in range(shards) if shard != neighbours.index],
        )
        self._live()
        if before is not None:
            self._log.info("hand-over begins", version=newer.version, before=before.version)

    def _live(self) -> None:
        moves = self._handing.moves
        before = decode_map(moves.before) if moves.before else None
        self._neighbours.live_under(decode_map(moves.after), before)
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
            if not (self._neighbours.unsure or self._handing.moves.under_way):
                self._end()
                self._wake.clear()
                await self._wake.wait()
                continue
            went_on = False
            try:
                went_on = await (self._make_sure(sure_at) if self._neighbours.unsure else self._round())
            except (WireError, TimeoutError) as error:
                self._note(str(error))
            except Exception:  # noqa: BLE001 - whatever it is, the hand-over must go on
                self._log.exception("hand-over failed")
            wait = FIRST_WAIT if went_on else min(LONGEST_WAIT, wait * 2)
            await asyncio.sleep(wait)

    async def _make_sure(self, sure_at: float) -> bool:
        """Whether the map that a shard began with is in force: others live under it, and none under an older one."""
        neighbours = self._neighbours
        version = neighbours.map.version
        said: list[dict[str, Any]] = []
        for shard in neighbours.others():
            with contextlib.suppress(WireError):
                said.append(await ask_status(neighbours, shard))
        befores = (one["before_map"] for one in said if one["version"] == version)
        before = next(filter(None, befores), None)
        if before is not None:
            self.take_map(neighbours.map, decode_map(before))
        elif any(one["version"] < version for one in said):
            self._note(f"version {version} of the map is not in force yet")
            return False
        elif len(said) == len(neighbours.others()) or self._timer() > sure_at:
            neighbours.unsure = False
            neighbours.changed()
        return not neighbours.unsure

    def _end(self) -> None:
        neighbours = self._neighbours
        if neighbours.before is not None:
            neighbours.live_under(neighbours.map, None)
            self._log.info("hand-over is over", version=neighbours.map.version)

    def _note(self, problem: str) -> None:
        """What keeps it from going on is said once, not with each try."""
        if problem != self._told:
            self._told_at = self._timer()
            self._log.warning("hand-over waits", reason=problem)
        self._told = problem

    async def _round(self) -> bool:
        """One try at everything; whether it came further."""
        moves = self._handing.moves
        if not moves.agreed and not await self._agree():
            return False
        went_on = False
        if moves.closed < moves.version:
            await self._hand_over()
            went_on = True
        return await self._settle() or went_on

    async def _agree(self) -> bool:
        """Whether all others know of it."""
        version = self._handing.moves.version
        for shard in self._neighbours.others():
            said = await ask_status(self._neighbours, shard)
            if int(said["version"]) < version or said["unsure"]:
                self._note(f"shard {self._neighbours.address(shard).port} does not know the map yet")
                return False
            if said["before_map"] not in (None, self._handing.moves.before.decode()):
                self._note(
                    f"shard {self._neighbours.address(shard).port} goes by another map before this one; "
                    "run `tidewire shards apply` with the newer one"
                )
                return False
        self._handing.agree()
        self._neighbours.agreed()
        return True

    async def _settle(self) -> bool:
        """Asks the others how far they are; whether one more has finished."""
        moves, neighbours = self._handing.moves, self._neighbours
        before = len(moves.awaited)
        for shard in list(moves.awaited):
            said = await ask_status(self._neighbours, shard)
            if said["closed"] >= moves.version and said["splits_by"] >= moves.version:
                self._handing.settle_shard(shard)
                neighbours.changed()
        self._told = ""
        return len(moves.awaited) < before

    # Handing over.

    async def _hand_over(self) -> None:
        """Everybody who is elsewhere by the new map; returns when nobody is left."""
        handing = self._handing
        for shard, users in handing.moves.users("moving").items():
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
        handing.close()
        self._log.info("all users handed over", version=handing.moves.version)

    async def _look(self) -> None:
        """Sorts those who are to move; when it returns, everybody has been looked at."""
        handing = self._handing
        if self._left is None:
            self._left = deque(handing.concerned())
        left = self._left
        left.extend(handing.take_fresh())
        while left:
            for _ in range(min(LOOK_AT, len(left))):
                self._sort(left.popleft())
            if left:
                await asyncio.sleep(0)
            left.extend(handing.take_fresh())

    def _sort(self, user_id: UserId) -> None:
        neighbours = self._neighbours
        given = self._handing.realm_of(user_id)
        realm_id = neighbours.realm_of(user_id, None if given is None else RealmId(given))
        before, after = neighbours.homes(user_id, realm_id)
        if before == neighbours.index != after and user_id not in self._handing.moves.absent:
            self._waiting[after].append(user_id)

    async def _move_on(self, shard: int, waiting: deque[UserId]) -> None:
        """Has the next of those who wait move; whoever has not begun when that fails waits on."""
        await self._prepare(shard)
        users = self._batch(waiting)
        try:
            await self._move(shard, users)
        except BaseException:
            absent = self._handing.moves.absent
            waiting.extendleft(user_id for user_id in users if user_id not in absent)
            raise

    def _batch(self, waiting: deque[UserId]) -> list[UserId]:
        users: dict[UserId, None] = {}
        size = 0
        while waiting and len(users) < BATCH and size < BATCH_BYTES:
            user_id = waiting.popleft()
            users[user_id] = None
            size += self._handing.size_of(user_id)
        return list(users)

    async def _prepare(self, shard: int) -> None:
        """Makes sure that the other can take users, before these are held."""
        await ask_status(self._neighbours, shard)
        if shard in self._knows_ids:
            return
        for chunk in self._handing.tables():
            await send_chunk(self._neighbours, shard, chunk)
        self._knows_ids.add(shard)

    async def _move(self, shard: int, users: Sequence[UserId]) -> None:
        """Has users move, or move on; if it fails they stay on the way, and the next round tries again."""
        handing = self._handing
        began = self._timer()
        await self._prepare(shard)
        slot: AsgiSlot[None] = AsgiSlot()
        handing.begin(users, shard, slot)
        await slot.wait()
        named = {"to": self._neighbours.address(shard).port, "users": len(users)}
        self._log.debug("users move", **named)
        for chunk in handing.chunks(users):
            await send_chunk(self._neighbours, shard, chunk)
        handing.finish(users)
        self._log.debug("users moved", **named)
        self._neighbours.changed()
        self.longest_hold = max(self.longest_hold, self._timer() - began)
        self._told = ""

    # Telling.

    @property
    def neighbours(self) -> Neighbours:
        """The shards, and where users are."""
        return self._neighbours

    @property
    def waits(self) -> tuple[str, float] | None:
        """What keeps a hand-over from going on, and for how many seconds; None when nothing does."""
        if not (self._told and (self._neighbours.unsure or self._handing.moves.under_way)):
            return None
        return self._told, self._timer() - self._told_at

    @property
    def left(self) -> int:
        """How many users are to move or moving, as far as that is known."""
        return sum(map(len, [*self._waiting.values(), *self._handing.moves.users("moving").values()]))

    def port_of(self, shard: int) -> int:
        """The port of a shard of one of the maps."""
        return self._neighbours.address(shard).port
