"""What clients cost and what a shard can bear: the capacity model, and a simulator of load behind it.

The costs were measured (`bench/README.md`); the bounds are a machine's. Neither looks at a running server.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Spread = Literal["realm", "all"]

MANY = 50.0
"""From this mean on a Poisson number is drawn as a normal one: exact drawing takes as many steps as it is large."""

TAIL = 1.1
"""How uneven realms are: the exponent of the law by which their sizes fall off. Near 1 a few have most of the people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Measured figures.

    Attributes:
        delivery: CPU seconds for one answered poll, the next poll and its line in the log included.
        notice: CPU seconds for one notice that comes alone, whoever it is for.
        heartbeat_every: seconds after which a waiting poll is answered with nothing, which costs like a delivery.
        client_bytes: of memory for a waiting client with connection, queue and descriptor.
        process_bytes: of memory before the first client.
    """

    delivery: float = 60e-6
    notice: float = 490e-6
    heartbeat_every: float = 50.0
    client_bytes: int = 3_600
    process_bytes: int = 60_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What one shard may take.

    Attributes:
        cpu: share of a core; what is left over is for bursts.
        memory: bytes, of which queues that fill up want as much again.
        connections: by open files and, behind one proxy address, by local ports.
    """

    cpu: float = 0.5
    memory: int = 4_000_000_000
    connections: int = 28_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What clients want.

    Attributes:
        clients: connected at once.
        events: that a client gets a minute.
        recipients: of a notice, on average.
    """

    clients: int
    events: float = 2.0
    recipients: float = 50.0

    @property
    def deliveries(self) -> float:
        """A second, for all clients."""
        return self.clients * self.events / 60

    @property
    def notices(self) -> float:
        """A second."""
        return self.deliveries / self.recipients


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """How many shards each limit asks for."""

    cpu: int
    memory: int
    connections: int

    @property
    def shards(self) -> int:
        """That satisfy all limits."""
        return max(self.cpu, self.memory, self.connections)

    @property
    def first(self) -> str:
        """The limit that comes first."""
        by_name = {"connections": self.connections, "cpu": self.cpu, "memory": self.memory}
        return max(by_name, key=lambda name: by_name[name])


def needed(demand: Demand, costs: Costs, bounds: Bounds) -> Needed:
    """How many shards it takes when realms keep together, so that each notice is one shard's."""
    each = costs.delivery * (demand.events / 60 + 1 / costs.heartbeat_every)
    cpu = demand.clients * each + demand.notices * costs.notice
    room = bounds.memory - costs.process_bytes
    return Needed(
        cpu=max(1, math.ceil(cpu / bounds.cpu)),
        memory=max(1, math.ceil(2 * demand.clients * costs.client_bytes / room)),
        connections=max(1, math.ceil(demand.clients / bounds.connections)),
    )


@dataclass(slots=True)
class ShardLoad:
    """What was simulated of one shard.

    Attributes:
        clients: whom it has.
        busy: CPU seconds in all.
        behind: at the end of each second, how far it is behind its work, in seconds.
    """

    clients: float = 0.0
    busy: float = 0.0
    behind: list[float] = field(default_factory=list)

    def work(self, seconds: float) -> None:
        """Takes the work that came within a second, and does what fits into it."""
        self.busy += seconds
        before = self.behind[-1] if self.behind else 0.0
        self.behind.append(max(0.0, before + seconds - 1.0))

    def delay(self, share: float = 0.99) -> float:
        """How far it is behind in all but the worst seconds."""
        ordered = sorted(self.behind)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Simulation:
    """Realms of uneven size on shards, and the notices of some minutes."""

    def __init__(
        self, demand: Demand, costs: Costs, *, shards: int, realms: int, spread: Spread, seed: int
    ) -> None:
        self.loads = [ShardLoad() for _ in range(shards)]
        self._demand = demand
        self._costs = costs
        self._chance = random.Random(seed)  # noqa: S311 - a simulation that repeats
        self._realms = [
            (size, self._place(size, spread, demand.clients / shards))
            for size in sizes(demand.clients, realms)
        ]

    def _place(self, size: float, spread: Spread, fair: float) -> Sequence[int]:
        """Where a realm goes: on all shards, or on as few as hold it, those that have least so far."""
        count = len(self.loads) if spread == "all" else min(len(self.loads), math.ceil(size / fair))
        emptiest = sorted(range(len(self.loads)), key=lambda shard: self.loads[shard].clients)[:count]
        for shard in emptiest:
            self.loads[shard].clients += size / count
        return emptiest

    def run(self, seconds: int) -> list[ShardLoad]:
        """What becomes of each shard."""
        costs, demand = self._costs, self._demand
        heartbeats = costs.delivery / costs.heartbeat_every
        for _ in range(seconds):
            work = [load.clients * heartbeats for load in self.loads]
            for size, shards in self._realms:
                reach = min(size, demand.recipients)
                notices = self._poisson(size * demand.events / 60 / reach)
                if not notices:
                    continue
                # A public message goes to every shard of its realm, and everybody on one shard is there at once.
                share = notices * reach / len(shards) * costs.delivery
                for shard in shards:
                    work[shard] += notices * costs.notice + share
            for load, came in zip(self.loads, work, strict=True):
                load.work(came)
        return self.loads

    def _poisson(self, mean: float) -> int:
        if mean > MANY:
            return max(0, round(self._chance.gauss(mean, math.sqrt(mean))))
        limit, count, product = math.exp(-mean), 0, self._chance.random()
        while product > limit:
            count += 1
            product *= self._chance.random()
        return count


def sizes(clients: int, realms: int) -> list[float]:
    """Realms from the largest down, all clients in them."""
    weights = [1 / rank**TAIL for rank in range(1, realms + 1)]
    return [clients * weight / sum(weights) for weight in weights]
