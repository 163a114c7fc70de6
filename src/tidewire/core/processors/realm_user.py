"""`realm_user`: somebody joined, or can be seen now; other changes of users are delivered as published (R4.36-R4.39)."""

from typing import Any

from tidewire.core.dispatch import Dispatch
from tidewire.core.notice import Notice
from tidewire.core.processors import generic
from tidewire.core.processors.variants import Marker, deliver_marked

INACCESSIBLE = Marker("inaccessible_user", "user_list_incomplete", skips=True)
"""The new user can't be seen by the recipient, and `person` is a placeholder."""


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Keeps placeholders from clients that cope without."""
    if notice.event.get("op") == "add":
        deliver_marked(notice, dispatch, INACCESSIBLE)
    else:
        generic.process(notice, dispatch)
