"""The parts of credentials that all backends share: the `Authorization` header, API keys, host names, and good standing."""

import base64
import hmac
import re
from dataclasses import dataclass, field
from hashlib import blake2b

from tidewire.core.errors import BadRequest, InvalidApiKey, Unauthorized, UserDeactivated
from tidewire.core.users import Role, User
from tidewire.ports.auth import no_session

DIGEST_BYTES = 32


# Sets these digests apart from any other use of the hash (16 bytes at most).
PERSON = b"tidewire api key"


KEY_FORM = re.compile(r"[A-Za-z0-9]{32}")


# Compared with when there is no account, so that the answer takes as long; nothing rests on the outcome.
NOBODY = bytes(DIGEST_BYTES)


def is_well_formed(api_key: str) -> bool:
    """Whether the text is 32 characters of A-Z, a-z, 0-9 (R6.3)."""
    return KEY_FORM.fullmatch(api_key) is not None


def digest(api_key: str) -> bytes:
    """The 256-bit digest of a key.

    It is the same in every process and at every reload, which is how a changed key is noticed. A plain hash
    is enough: a key is 190 random bits, so there is nothing that a slow one would protect.
    """
    return blake2b(api_key.encode(), digest_size=DIGEST_BYTES, person=PERSON).digest()


def same(first: bytes, second: bytes) -> bool:
    """Whether two digests are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(first, second)


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


def comparable(host: str) -> str:
    """The host in lower case, without port, brackets, and the dot that may end a full name.

    `Demo.Example:9800` gives `demo.example`, `[::1]:9800` gives `::1`. An IPv6 address without brackets,
    which no request should have, is left whole.
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    if name and ":" not in name and (not port or port.isdecimal()):
        host = name
    return host.removesuffix(".")


def admissible(user: User) -> User:
    """The user, who may ask.

    Raises:
        UserDeactivated: the account is switched off.
        BadRequest: it is an incoming-webhook bot's.
    """
    if not user.active:
        raise UserDeactivated("Account is deactivated")
    if user.role is Role.WEBHOOK_BOT:
        raise BadRequest("This API is not available to incoming webhook bots.")
    return user


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8, as every later use of it will have to; half of a surrogate pair can't."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
