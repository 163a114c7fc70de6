"""API keys: their form, and the digest that is kept in their place."""

import hmac
import re
from hashlib import blake2b

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
