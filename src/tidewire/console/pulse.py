"""The pulse: what an open page asks for every second, found out once however many pages are open."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request

from tidewire import __version__
from tidewire.core.survey import Survey
from tidewire.counting import Histogram
from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.looking import surveyed
from tidewire.http.noting import note_of
from tidewire.http.site import Site

Times: TypeAlias = Callable[[], Mapping[str, Collection[Histogram]]]
"""Gives what is measured of how long things take, by name."""

NO_TIMES: Mapping[str, Collection[Histogram]] = MappingProxyType({})

KEPT = 0.9
"""Seconds for which what was found in the queues is used again: less than passes between two questions of a page."""

SPARED = 20
"""And so many times as long as the look took: of very many queues it is had more rarely, for a twentieth of the time."""


class Pulse:
    """The view, with what it last found."""

    def __init__(self, times: Times = lambda: NO_TIMES) -> None:
        self._times = times
        self._survey: Survey[Any] | None = None
        self._found_at = 0.0
        self._kept = KEPT
        self._looking = asyncio.Lock()

    async def view(self, request: Request, site: Site) -> Answer:
        """`GET /console/api/pulse`: the totals of `stats`, how the server is, and how long its loop lets others wait."""
        note_of(request).quiet = True
        began = site.timer()
        await asyncio.sleep(0)
        turn = site.timer() - began
        lifecycle = site.lifecycle
        survey = await self._surveyed(site)
        payload = {
            **msgspec.structs.asdict(site.engine.shard.overview(survey)),
            "now": site.now(),
            "loop_turn": turn,
            "times": {name: _together(measured) for name, measured in self._times().items()},
            "ready": lifecycle.ready,
            "stopping": lifecycle.stopping,
            "degraded": lifecycle.degraded,
            "version": __version__,
        }
        return answers.success(payload)

    async def _surveyed(self, site: Site) -> Survey[Any]:
        async with self._looking:
            if self._survey is None or not 0 <= site.now() - self._found_at < self._kept:
                began = site.timer()
                self._survey = await surveyed(site)
                self._found_at = site.now()
                self._kept = max(KEPT, SPARED * (site.timer() - began))
            return self._survey


def _together(measured: Collection[Histogram]) -> dict[str, float]:
    """How often, and how many seconds in all: whoever asks twice knows the mean in between."""
    return {
        "count": sum(sum(histogram.counts) for histogram in measured),
        "seconds": sum(histogram.total for histogram in measured),
    }
