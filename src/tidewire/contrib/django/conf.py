"""The setting `TIDEWIRE`, as a typed value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

NAME = "TIDEWIRE"

DESCRIBE = "tidewire.contrib.django.identity.describe"
AUTHENTICATE = "tidewire.contrib.django.identity.authenticate_nobody"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conf:
    """What the project says about Tidewire.

    Attributes:
        url: where the server is.
        secret: its shared secret.
        realm: the realm of users whom `describe` puts into none.
        describe: from a user to what the server is told of it.
        authenticate: from a request with an `Authorization` header to a user, or None.
        timeout: seconds of one request to the server.
        batch: notices of one request.
        interval: seconds between two looks into an empty outbox.
        database: the alias of the database that the outbox is in.
    """

    url: str
    secret: str = field(repr=False)
    realm: int = 1
    describe: str = DESCRIBE
    authenticate: str = AUTHENTICATE
    timeout: float = 10.0
    batch: int = 500
    interval: float = 0.1
    database: str = "default"

    def function(self, name: str) -> Callable[..., Any]:
        """The function that the member `name` names."""
        found: Callable[..., Any] = import_string(getattr(self, name))
        return found


def conf() -> Conf:
    """The setting, read anew, so that tests may override it.

    Raises:
        TypeError: a key is missing, or unknown.
    """
    given = getattr(settings, NAME, {})
    return Conf(**{name.lower(): value for name, value in given.items()})
