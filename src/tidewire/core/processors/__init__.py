"""What happens to a notice, by the type of its event (R4.2).

A processor decides which queues of which users get an event and in which shape; it delivers through
`Dispatch` and knows nothing of journals, polls or connections. A type without a row takes the generic path,
so the server need not know a type to deliver it (R4.51).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from tidewire.core.dispatch import Dispatch
from tidewire.core.notice import Notice
from tidewire.core.processors import cleanup_queue, generic, message, update_message

# The token of a waiting poll is nothing to a processor, so any will do.
Processor: TypeAlias = Callable[[Notice, Dispatch[Any]], None]

PROCESSORS: Mapping[str, Processor] = MappingProxyType(
    {
        "cleanup_queue": cleanup_queue.process,
        "message": message.process,
        "update_message": update_message.process,
    }
)


def processor_for(kind: str) -> Processor:
    """The processor for events of this type."""
    return PROCESSORS.get(kind, generic.process)
