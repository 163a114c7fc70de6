"""API keys for programs: `Authorization: Token ...`. They are kept as digests, and can be revoked."""

import hashlib
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import HttpRequest

from chat.models import Token
from tidewire.contrib.django import Bearer, revoke_token


def authenticate(request: HttpRequest) -> Bearer | None:
    """Whom the server is told when a request shows a token (`TIDEWIRE["AUTHENTICATE"]`)."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Token":
        return None
    token = Token.objects.select_related("user").filter(digest=_digest(text)).first()
    return None if token is None else Bearer(token.user, token=str(token.pk))


def issue(username: str) -> tuple[int, str]:
    """A new token: its number, and what is shown only now."""
    user: Any = get_user_model().objects.get_by_natural_key(username)
    text = secrets.token_urlsafe(32)
    return Token.objects.create(user=user, digest=_digest(text)).pk, text


def revoke(number: int) -> None:
    """Takes a token back. The server ends its polls and queues."""
    with transaction.atomic():
        Token.objects.filter(pk=number).delete()
        revoke_token(str(number))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
