"""Telling the server: every call writes a row of the outbox, in the caller's own transaction.

So what is rolled back is never told, and what is committed is told even when the process dies at once: the relay
(`manage.py tidewire_relay`) sends it, and removes it when the server has confirmed it.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder

from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.identity import session_name, token_name
from tidewire.core.errors import InvalidNotice
from tidewire.core.notices.notice import decode_notice


def send_event(
    *,
    realm_id: int | None = None,
    event: Mapping[str, Any],
    users: Iterable[int | Mapping[str, Any]],
    id: str | None = None,  # noqa: A002 - the notice's own name for it
) -> None:
    """Publishes an event once the transaction is committed; outside a transaction, at once.

    Args:
        realm_id: queues of other realms are skipped; every realm's are served when None.
        event: the event, with its `type`. Dates and decimals become text, as Django's encoder has it.
        users: ids of the users it is for, or objects with `id` and what the event's type needs.
        id: names the notice; one that is sent twice under the same id is delivered once.

    Raises:
        InvalidNotice: it is not of the right form; the transaction may go on.
    """
    notice: dict[str, Any] = {"event": event, "users": list(users), "id": id or uuid.uuid4().hex}
    if realm_id is not None:
        notice["realm_id"] = realm_id
    try:
        text = json.dumps(notice, cls=DjangoJSONEncoder, ensure_ascii=False, allow_nan=False)
        raw = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidNotice(f"Invalid notice: {error}") from None
    # The server would refuse it long after the caller has gone.
    decode_notice(raw)
    _write("notice", text)


def revoke_user(user_id: int) -> None:
    """Takes all queues from a user, who gets none until `restore_user`; for who is switched off."""
    send_event(event={"type": "revoke_user", "user_id": user_id}, users=[])


def restore_user(user_id: int) -> None:
    """Lets a user have queues again."""
    send_event(event={"type": "restore_user", "user_id": user_id}, users=[])


def revoke_session(session_key: str) -> None:
    """Ends the polls and queues of a session; a logout does so by itself."""
    _write("session", session_name(session_key))


def revoke_token(token: str) -> None:
    """Ends the polls and queues of a token, by the name that `AUTHENTICATE` gave it."""
    _write("session", token_name(token))


def _write(kind: str, content: str) -> None:
    outgoing = apps.get_model("tidewire", "Outgoing")
    outgoing.objects.using(conf().database).create(kind=kind, content=content)
