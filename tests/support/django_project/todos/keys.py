"""API keys of the project's own: `Authorization: Key NAME`; `Authorization: Token NAME` is one that can be revoked."""

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest

from tidewire.contrib.django import Bearer


def user_of_key(request: HttpRequest) -> Any:
    """The user whom the key names."""
    scheme, _, name = request.headers.get("Authorization", "").partition(" ")
    user = get_user_model().objects.filter(username=name).first() if scheme in ("Key", "Token") else None
    return Bearer(user, token=name) if scheme == "Token" else user
