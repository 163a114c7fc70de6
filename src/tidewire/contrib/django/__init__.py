"""Tidewire for Django: events that ride the transaction, sessions that clients log in with, and state without a race.

    INSTALLED_APPS = [..., "tidewire.contrib.django"]
    TIDEWIRE = {"URL": "http://127.0.0.1:9800", "SECRET": "..."}

`docs/howto/use-with-django.md` says how the parts work together.
"""

from tidewire.contrib.django.provided import provide
from tidewire.contrib.django.publishing import restore_user, revoke_session, revoke_user, send_event
from tidewire.initial_state import Asked, Provider

__all__ = [
    "Asked",
    "Provider",
    "provide",
    "restore_user",
    "revoke_session",
    "revoke_user",
    "send_event",
]
