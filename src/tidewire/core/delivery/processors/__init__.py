"""What happens to a notice, by the type of its event (R4.2).

A processor decides which queues of which users get an event and in which shape; it delivers through
`Dispatch` and knows nothing of journals, polls or connections. A type without a row takes the generic path,
so the server need not know a type to deliver it (R4.51). A check refuses what its processor could not
deliver sensibly, before anything is journalled.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import (
    cleanup_queue,
    custom_profile_fields,
    delete_message,
    generic,
    message,
    presence,
    realm_emoji,
    realm_user,
    revocation,
    stream,
    typing,
    update_message,
    update_message_flags,
    user_group,
    user_topic,
)
from tidewire.core.events.acceptance import REFUSALS, Event
from tidewire.core.notices.notice import Notice

# The token of a waiting poll is nothing to a processor, so any will do.
Processor: TypeAlias = Callable[[Notice, Dispatch[Any]], None]
Check: TypeAlias = Callable[[Event], None]

PROCESSORS: Mapping[str, Processor] = MappingProxyType(
    {
        "cleanup_queue": cleanup_queue.process,
        "custom_profile_fields": custom_profile_fields.process,
        "delete_message": delete_message.process,
        "message": message.process,
        "presence": presence.process,
        "realm_emoji": realm_emoji.process,
        "realm_user": realm_user.process,
        "restore_user": revocation.restore,
        "revoke_user": revocation.revoke,
        "stream": stream.process,
        "typing": typing.process,
        "update_message": update_message.process,
        "update_message_flags": update_message_flags.process,
        "user_group": user_group.process,
        "user_topic": user_topic.process,
    }
)

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "custom_profile_fields": custom_profile_fields.check,
        "delete_message": delete_message.check,
        "message": message.check,
        "presence": presence.check,
        "realm_emoji": realm_emoji.check,
        "restore_user": revocation.check,
        "revoke_user": revocation.check,
        "update_message_flags": update_message_flags.check,
    }
)

WITHHOLDINGS: tuple[str, ...] = (
    message.MIRROR_LOOP,
    realm_user.INACCESSIBLE.name,
    user_group.DEACTIVATED.name,
    user_group.FOR_REACTIVATION.name,
    stream.FOR_ARCHIVING.name,
    stream.FOR_UNARCHIVING.name,
    presence.NO_USER_ID,
    presence.NO_SUCH_FORM,
)
"""Every rule by which a processor keeps an event from a queue that would accept it."""

ALL_REFUSALS: tuple[str, ...] = (*REFUSALS, *WITHHOLDINGS)
"""Every rule that an event can be refused by."""


def processor_for(kind: str) -> Processor:
    """The processor for events of this type."""
    return PROCESSORS.get(kind, generic.process)


def check_event(event: Event) -> None:
    """Refuses an event that could not be delivered as its type asks.

    Raises:
        InvalidNotice: a member that the type's processor needs is missing or of the wrong type.
    """
    check = CHECKS.get(event["type"])
    if check is not None:
        check(event)
