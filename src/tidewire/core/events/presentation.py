"""How people are shown to clients: stand-ins for hidden senders, and where avatars are (R4.12)."""

import hashlib
import re
from dataclasses import dataclass

HIDDEN_NAME = "Unknown user"
"""Full name of a sender whom the client's owner may not see."""

HIDDEN_AVATAR = "/static/images/unknown-user-avatar.png"
"""Avatar of such a sender."""

STAND_IN_DOMAIN = "hidden.invalid"
"""Domain of stand-in addresses when no host is known that could have mail; `.invalid` never exists (RFC 2606)."""

EMPTY_TOPIC = "general chat"
"""What clients without `empty_topic_name` see in place of an empty topic (R4.5)."""

_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_MAIL_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}\Z")
"""Two labels or more, the last one no number: neither an address of a machine nor a host with a port."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Presentation:
    """What the application has settled for the whole site.

    Attributes:
        realm_host: host in stand-in addresses when a notice names none.
        avatar_salt: goes into the file names of uploaded avatars; the same as the application's.
        narrow_hears_public_channels: a narrowed queue of a member hears public channels that its owner is not
            subscribed to (D-1, D11).
    """

    realm_host: str = ""
    avatar_salt: str = ""
    narrow_hears_public_channels: bool = False

    def stand_in_email(self, user_id: int, realm_host: str | None) -> str:
        """The address in place of a hidden one; `realm_host` is the one that the notice names."""
        for host in (realm_host, self.realm_host):
            if host and _MAIL_DOMAIN.match(host):
                return f"user{user_id}@{host}"
        return f"user{user_id}@{STAND_IN_DOMAIN}"

    def uploaded_avatar(self, realm_id: int, user_id: int, version: int) -> str:
        """Where the application keeps an avatar that a user has uploaded."""
        name = hashlib.sha1(f"{user_id}{self.avatar_salt}".encode(), usedforsecurity=False).hexdigest()
        return f"/user_avatars/{realm_id}/{name}.png?version={version}"


def gravatar(email: str, version: int) -> str:
    """The avatar that belongs to an address."""
    digest = hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()
    return f"https://secure.gravatar.com/avatar/{digest}?d=identicon&version={version}"
