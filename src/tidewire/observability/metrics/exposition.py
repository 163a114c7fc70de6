"""The exposition: everything that `GET /metrics` answers, put together without holding the loop."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

from tidewire.core.inspection.survey import Survey
from tidewire.core.shard import Shard
from tidewire.observability.metrics.collector import families
from tidewire.observability.metrics.metric import Sources, View

SLICE = 2_000
"""Queues looked at before other work gets a turn: about a millisecond."""

TURN = 0.002
"""Seconds of writing after which other work gets a turn."""

KEPT = 1.0
"""Seconds for which what was found in the queues is used again, so that asking often costs little."""

END = b"# EOF\n"
"""How OpenMetrics says that all is there."""


class Exposition:
    """The metrics of one shard. It has a registry of its own: two shards in one process share nothing."""

    def __init__(
        self, shard: Shard[Any], sources: Sources, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self.shard = shard
        """Whose they are."""
        self._sources = sources
        self._timer = timer
        self._survey: Survey[Any] | None = None
        self._found_at = 0.0
        self._looking = asyncio.Lock()
        self._view: View | None = None
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def collect(self) -> Iterator[Family]:
        """The metrics, for the registry."""
        return iter(()) if self._view is None else families(self._view)

    async def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics, in a form that the `Accept` header asks for, and what that form is called."""
        encoder, media_type = choose_encoder(accept)
        async with self._looking:
            survey = await self._surveyed()
            self._view = View(self._sources, survey, survey.tables())
            pieces: list[bytes] = []
            began = self._timer()
            for family in self.registry.collect():
                pieces.append(encoder(_One(family)).removesuffix(END))
                if self._timer() - began > TURN:
                    await asyncio.sleep(0)
                    began = self._timer()
        return b"".join([*pieces, *([END] if "openmetrics" in media_type else [])]), media_type

    async def _surveyed(self) -> Survey[Any]:
        if self._survey is None or self._timer() - self._found_at >= KEPT:
            survey = self.shard.survey()
            while not survey.done:
                survey.step(SLICE)
                await asyncio.sleep(0)
            self._survey, self._found_at = survey, self._timer()
        return self._survey


class _One:
    """One family, as something that an encoder takes."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Iterator[Family]:
        """Yields the metrics in the form that the Prometheus library expects."""
        return iter((self._family,))
