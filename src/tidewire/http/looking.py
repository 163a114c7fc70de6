"""Looks at every queue without holding the loop: other work gets a turn after each slice."""

import asyncio
from typing import Any

from tidewire.core.listing import Listing, Wanted
from tidewire.core.shard import Shard
from tidewire.core.survey import Survey

SLICE = 2_000
"""Queues looked at before other work gets a turn: about a millisecond."""


async def surveyed(shard: Shard[Any]) -> Survey[Any]:
    """What all queues hold together."""
    survey = shard.survey()
    await _finish(survey)
    return survey


async def listed(shard: Shard[Any], wanted: Wanted) -> Listing[Any]:
    """The queues that are wanted."""
    listing = shard.listing(wanted)
    await _finish(listing)
    return listing


async def _finish(look: Survey[Any] | Listing[Any]) -> None:
    while True:
        look.step(SLICE)
        if look.done:
            return
        await asyncio.sleep(0)
