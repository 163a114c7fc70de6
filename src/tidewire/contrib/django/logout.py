"""Revokes a session at the server in the transaction that ends it."""

from typing import Any

from django.http import HttpRequest

from tidewire.contrib.django.publish import revoke_session


def on_logout(request: HttpRequest | None = None, **_arguments: Any) -> None:
    """Called by Django before it takes the session away."""
    session_key = getattr(getattr(request, "session", None), "session_key", None)
    if session_key:
        revoke_session(session_key)
