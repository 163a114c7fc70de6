"""Looks at every queue without holding the loop: other work gets a turn after each slice."""

import asyncio
from typing import Any

from tidewire.core.listing import Listing, Wanted
from tidewire.core.survey import Survey
from tidewire.http.site import Site

STEP = 250
"""Queues looked at before the time is looked at: 0.1 ms when they are in the processor's cache, ten times that when not."""

TURN = 0.001
"""Seconds of looking after which other work gets a turn."""


async def surveyed(site: Site) -> Survey[Any]:
    """What all queues hold together."""
    survey = site.engine.shard.survey()
    await _finish(survey, site)
    return survey


async def listed(site: Site, wanted: Wanted) -> Listing[Any]:
    """The queues that are wanted."""
    listing = site.engine.shard.listing(wanted)
    await _finish(listing, site)
    return listing


async def _finish(look: Survey[Any] | Listing[Any], site: Site) -> None:
    began = site.timer()
    while not look.done:
        look.step(STEP)
        if site.timer() - began > TURN:
            await asyncio.sleep(0)
            began = site.timer()
