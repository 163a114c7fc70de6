"""Tidewire for Django: events that ride the transaction, sessions that clients log in with, and state without a race.

    INSTALLED_APPS = [..., "tidewire.contrib.django"]
    TIDEWIRE = {"URL": "http://127.0.0.1:9800", "SECRET": "..."}

`docs/howto/use-with-django.md` says how the parts work together.
"""

from tidewire.contrib.django.identity import Bearer
from tidewire.contrib.django.providers import provide
from tidewire.contrib.django.publish import (
    restore_user,
    revoke_session,
    revoke_token,
    revoke_user,
    send_event,
)
from tidewire.initial_state import Asked, Provider, by_rule

__all__ = [
    "Asked",
    "Bearer",
    "Provider",
    "by_rule",
    "provide",
    "restore_user",
    "revoke_session",
    "revoke_token",
    "revoke_user",
    "send_event",
]
