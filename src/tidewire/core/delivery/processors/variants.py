"""What most processors have in common: an event in a few variants, chosen by what a client can handle.

A variant is made once per notice, however many queues get it, and its bytes are encoded when the first of
them needs these. Which variant a queue gets is asked once per distinct shape.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.events.acceptance import Event
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.shape import Shape
from tidewire.core.events.shaped_event import Representation
from tidewire.core.notices.notice import Notice

Variant: TypeAlias = Sequence[Representation]
"""What a queue gets of one notice: usually one event."""


def deliver_variants(
    notice: Notice, dispatch: Dispatch[Any], variant_for: Callable[[Capabilities], Variant]
) -> None:
    """Gives each queue of each user what `variant_for` answers for its capabilities (R4.4)."""
    chosen: dict[Shape, Variant] = {}
    for user_id in dispatch.recipients(notice):
        for descriptor in dispatch.queues_of(user_id):
            variant = chosen.get(descriptor.shape)
            if variant is None:
                variant = chosen[descriptor.shape] = variant_for(descriptor.shape.capabilities)
            for shaped in variant:
                dispatch.deliver(descriptor, shaped)


def deliver_either(
    notice: Notice, dispatch: Dispatch[Any], capability: str, *, capable: Event, others: Event
) -> None:
    """Gives `capable` to clients with the capability and `others` to those without.

    When both are equal there is one variant, which is encoded once.
    """
    if capable == others:
        generic.deliver(notice, dispatch, capable)
        return
    variants = ((dispatch.represent(others),), (dispatch.represent(capable),))
    deliver_variants(notice, dispatch, lambda capabilities: variants[getattr(capabilities, capability)])


class Marker(NamedTuple):
    """A private member of a notice that, when true, keeps the event from one kind of client.

    Attributes:
        name: of the member; also the rule that the refusal is counted under.
        capability: what tells the two kinds of client apart.
        skips: which of them do not get a marked event: those with the capability, or those without.
    """

    name: str
    capability: str
    skips: bool


def deliver_marked(notice: Notice, dispatch: Dispatch[Any], marker: Marker) -> None:
    """Delivers the event without its marker, and only to those whom the marker does not keep it from."""
    event = without(notice.event, marker.name)
    if not notice.event.get(marker.name):
        generic.deliver(notice, dispatch, event)
        return
    shown = (dispatch.represent(event),)
    withheld = (dispatch.represent(event, withheld=marker.name),)
    deliver_variants(
        notice,
        dispatch,
        lambda capabilities: withheld if getattr(capabilities, marker.capability) is marker.skips else shown,
    )


def without(event: Event, name: str) -> Event:
    """The event without one of its members; the event itself when it has no such member."""
    if name not in event:
        return event
    return {key: value for key, value in event.items() if key != name}
