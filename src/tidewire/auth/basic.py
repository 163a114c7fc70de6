"""The `Authorization` header: from its text to an email and a well-formed API key (R6.2, R6.3)."""

import base64
from dataclasses import dataclass, field

from tidewire.admitting import no_session
from tidewire.auth.keys import is_well_formed
from tidewire.core.errors import BadRequest, InvalidApiKey, Unauthorized

SCHEME = "basic"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request claims: not checked against any account yet."""

    email: str
    api_key: str = field(repr=False)


def parse_authorization(authorization: str | None) -> Credentials:
    """Reads the header.

    Whether its scheme is Basic is asked before anything else of it. Email and key are split at the first
    colon, as HTTP has it; spaces around either are dropped.

    Raises:
        Unauthorized: there is no header, or its content is not `user:password` in strict base64 and UTF-8.
        BadRequest: the scheme is not Basic.
        InvalidApiKey: the key has not the form of one.
    """
    if authorization is None:
        raise no_session(is_session=False)
    scheme, *rest = authorization.split() or [SCHEME]
    if scheme.lower() != SCHEME:
        raise BadRequest("This endpoint requires HTTP basic authentication.")
    pair = _decoded(rest[0]) if len(rest) == 1 else None
    if pair is None or ":" not in pair:
        raise Unauthorized("Invalid authorization header for basic auth")
    email, _, api_key = pair.partition(":")
    api_key = api_key.strip()
    if not is_well_formed(api_key):
        raise InvalidApiKey("Malformed API key")
    return Credentials(email.strip(), api_key)


def _decoded(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # not ASCII, not base64, or not UTF-8
        return None
