"""API keys of the project's own: `Authorization: Key NAME`."""

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest


def user_of_key(request: HttpRequest) -> Any:
    """The user whom the key names."""
    scheme, _, name = request.headers.get("Authorization", "").partition(" ")
    return get_user_model().objects.filter(username=name).first() if scheme == "Key" else None
