"""What the server asks of the outside, as Protocols; adapters satisfy them and never meet each other."""

from typing import Protocol

from tidewire.core.ids import UserId
from tidewire.core.users import User


class Authenticator(Protocol):
    """Says who asks."""

    def authenticate(self, authorization: str | None, host: str | None) -> User:
        """Gives the user that a request on `/api` comes from (R6.2, R6.3).

        It does not wait for anything, for it stands on the path of every poll.

        Args:
            authorization: the `Authorization` header as it came; None when there was none.
            host: the `Host` header as it came, with or without a port; None when there was none.

        Raises:
            Unauthorized: no header, or one that can't be read.
            BadRequest: another scheme than Basic, a host of another realm, or an incoming-webhook bot.
            InvalidApiKey: the key is malformed, unknown, or not this email's.
            UserDeactivated: the account is switched off.
            RealmDeactivated: its organisation is switched off.
        """
        ...

    def user(self, user_id: UserId) -> User | None:
        """Gives a user by id, active or not; None when there is no such user."""
        ...
