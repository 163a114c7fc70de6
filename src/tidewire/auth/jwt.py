"""Bearer tokens: JWTs with a fixed set of algorithms, issuers and keys (extra `jwt`).

A token has `exp`, and the issuer and audience that the settings name. Which algorithms a key may be used with is said
by the key, never by the token. Keys of an issuer are fetched from an address in the settings and kept by key id; for an
id that is not there they are fetched again, but not more often than `REFETCH_AFTER` allows.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

import jwt
import msgspec

from tidewire._http.bounded import Caller, CallFailed
from tidewire.auth.cache import Remembered, digest_of
from tidewire.auth.credentials import admissible, is_text
from tidewire.auth.revocation import Revoked
from tidewire.core.errors import AuthenticationUnavailable, InvalidToken, WireError
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Role, User
from tidewire.ports.auth import AuthResult, Credentials, NeedsBackend, no_session

A = TypeVar("A")

OK = 200
SCHEME = "bearer"

NOT_VALID = "The token is not valid"

SENTENCES: Mapping[type[jwt.PyJWTError], str] = MappingProxyType(
    {
        jwt.ExpiredSignatureError: "The token has expired",
        jwt.ImmatureSignatureError: f"{NOT_VALID} yet",
        jwt.InvalidAudienceError: f"{NOT_VALID} here: it is for another audience",
        jwt.InvalidSignatureError: f"{NOT_VALID}: its signature is wrong",
        jwt.MissingRequiredClaimError: f"{NOT_VALID}: it lacks a claim; exp, iss, aud and the user's id are required",
    }
)
"""What a client is told of a token that the library refuses. The library's own words quote what the token says, which may
be anything, and its traceback is nobody's business."""

DIGITS = 16
"""Of the largest id that every client can hold."""

MAX_TOKEN = 8192
"""Characters; the longest that are worth reading have some 2,000."""

REFETCH_AFTER = 30.0
"""Seconds between two fetches of an issuer's keys, so that made-up key ids can't make the server ask on and on."""

KEPT_FOR = 3600.0
"""Seconds after which an issuer's keys are fetched again, so that one that was withdrawn is not used for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """Which claims name the user and the realm, what a token must be for, and how far clocks may differ."""

    audience: str
    user: str = "sub"
    realm: str = "realm_id"
    leeway: float = 10.0


class Key(NamedTuple):
    """A key and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


class _KeySet(msgspec.Struct):
    """The JSON Web Key Set that an issuer serves."""

    keys: list[dict[str, Any]]


class Directory(Protocol):
    """Who is known by id."""

    def user(self, user_id: UserId) -> User | None:
        """The user, active or not."""
        ...


class Issuer:
    """One issuer: a key of its own, or an address with its keys."""

    def __init__(self, *, algorithms: Iterable[str], key: str = "", caller: Caller | None = None) -> None:
        """Takes the algorithms that are allowed, and either a key or where keys are."""
        self._algorithms = tuple(algorithms)
        self._caller = caller
        self._fixed = Key(key, _fitting(key, self._algorithms)) if key else None
        self._keys: dict[str, Key] = {}
        self._fetched_at = float("-inf")
        self._turn = asyncio.Lock()

    def key(self, key_id: str, now: float) -> Key | None:
        """The key of that id; None when there is none.

        Raises:
            MustAsk: the keys have to be fetched.
        """
        if self._fixed is not None:
            return self._fixed
        age = now - self._fetched_at
        found = self._keys.get(key_id)
        if age >= KEPT_FOR or (found is None and age >= REFETCH_AFTER):
            raise NeedsBackend
        return found

    async def fetch(self, now: float) -> None:
        """Fetches the keys, unless somebody else just did.

        Raises:
            CallFailed: they can't be had.
        """
        async with self._turn:
            if self._caller is None or now - self._fetched_at < REFETCH_AFTER:
                return
            reply = await self._caller.get()
            if reply.status != OK:
                raise CallFailed(f"The address of the keys answered {reply.status}")
            keys = dict(_keys(reply.body, self._algorithms))
            if not keys:
                raise CallFailed("The address of the keys named none that can be used")
            self._keys = keys
            self._fetched_at = now


@dataclass(slots=True)
class _Seen:
    """What a token says of itself, before anything of it is believed."""

    issuer: str
    key_id: str
    text: str = field(repr=False)


class TokenBackend:
    """The authentication backend for signed tokens."""

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        *,
        claims: Claims,
        users: Directory,
        revoked: Revoked,
        report: Callable[[Exception], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        """Takes what it needs.

        Args:
            issuers: by name.
            claims: what tokens say.
            users: who is known anyway.
            revoked: the tokens that were revoked.
            report: told why an issuer's keys can't be had.
            on_fault: told of what nobody foresaw while a token was judged.
        """
        self._issuers = issuers
        self._claims = claims
        self._users = users
        self._revoked = revoked
        self._report = report
        self._on_fault = on_fault
        self._remembered = Remembered()

    def known(self, credentials: Credentials, now: float) -> AuthResult:
        """Who asks.

        Raises:
            InvalidToken: the token is not one that counts, or no longer.
            MustAsk: its issuer's keys have to be fetched.
        """
        text = _token(credentials)
        remembering = digest_of(text)
        found = self._remembered.get(remembering, now)
        if found is None:
            found = self._judged(lambda: self._verified(_seen(text), now))
            self._remembered.put(remembering, found)
        if found.session and self._revoked.has(found.session):
            raise InvalidToken("The token was revoked")
        return found

    async def ask(self, credentials: Credentials, now: float) -> AuthResult:
        """Checks a token after the issuer's keys were fetched.

        Raises:
            AuthenticationUnavailable: they can't be had.
        """
        text = _token(credentials)
        issuer = self._judged(lambda: self._issuer(_seen(text)))
        try:
            await issuer.fetch(now)
        except Exception as error:
            # Whatever the issuer answered: nothing was learnt from it.
            self._report(error)
            raise AuthenticationUnavailable("Whether the token is valid can't be found out now") from error
        try:
            return self.known(credentials, now)
        except NeedsBackend:
            raise InvalidToken("The token is signed with a key that its issuer does not name") from None

    def drop(self, session: str) -> None:
        """Drops the cached results of this token."""
        self._remembered.drop(session)

    def _judged(self, judge: Callable[[], A]) -> A:
        """What comes of judging a token.

        A token may say anything, and the library reads it before anybody has vouched for it. So whatever it raises means
        the same: this token lets nobody in.

        Raises:
            InvalidToken: in our own words.
            MustAsk: as `known`.
        """
        try:
            return judge()
        except (WireError, NeedsBackend):
            raise
        except jwt.PyJWTError as error:
            raise InvalidToken(SENTENCES.get(type(error), NOT_VALID)) from None
        except Exception as error:  # noqa: BLE001 - by what the library or we did not foresee nobody may get in, or be let fall
            self._on_fault(error)
            raise InvalidToken(NOT_VALID) from None

    def _issuer(self, seen: _Seen) -> Issuer:
        issuer = self._issuers.get(seen.issuer)
        if issuer is None:
            raise InvalidToken("The token is of an issuer that does not count here")
        return issuer

    def _verified(self, seen: _Seen, now: float) -> AuthResult:
        key = self._issuer(seen).key(seen.key_id, now)
        if key is None:
            raise InvalidToken("The token is signed with a key that its issuer does not name")
        content = jwt.decode(
            seen.text,
            key.key,
            algorithms=list(key.algorithms),
            audience=self._claims.audience,
            issuer=seen.issuer,
            leeway=self._claims.leeway,
            options={"require": ["exp", "iss", "aud", self._claims.user]},
        )
        ends_at = _moment(content, "exp") + self._claims.leeway
        session = _text(content, "jti") if isinstance(content.get("jti"), str) else ""
        return AuthResult(admissible(self._user(content)), ends_at, ends_at, session)

    def _user(self, content: Mapping[str, Any]) -> User:
        """The user whom the token names; what the users file says of them counts more than the token."""
        user_id = _number(content, self._claims.user)
        known = self._users.user(UserId(user_id))
        if known is not None:
            return known
        role = content.get("role", Role.MEMBER)
        if role not in list(Role):
            raise InvalidToken(f"{NOT_VALID}: its role is none")
        return User(
            id=UserId(user_id),
            realm_id=RealmId(_number(content, self._claims.realm)),
            email=_text(content, "email"),
            full_name=_text(content, "name"),
            role=Role(role),
        )


def _token(credentials: Credentials) -> str:
    scheme, _, text = (credentials.authorization or "").strip().partition(" ")
    if scheme.lower() != SCHEME:
        raise no_session(is_session=credentials.is_session)
    if not text or len(text) > MAX_TOKEN:
        raise InvalidToken(f"{NOT_VALID}: it is missing or too long")
    return text.strip()


def _seen(text: str) -> _Seen:
    header = jwt.get_unverified_header(text)
    content = jwt.decode(text, options={"verify_signature": False})
    issuer, key_id = content.get("iss", ""), header.get("kid", "")
    if not isinstance(issuer, str) or not isinstance(key_id, str):
        raise InvalidToken(f"{NOT_VALID}: its issuer or key id is no text")
    return _Seen(issuer, key_id, text)


def _number(content: Mapping[str, Any], claim: str) -> int:
    value = content.get(claim)
    if isinstance(value, str) and len(value) <= DIGITS and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise InvalidToken(f"{NOT_VALID}: its {claim} is no id")
    return value


def _moment(content: Mapping[str, Any], claim: str) -> float:
    """A time, in UNIX seconds; one that is beyond what clocks can say is none."""
    value = content.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not abs(int(value)) < 2**53:
        raise InvalidToken(f"{NOT_VALID}: its {claim} is no time")
    moment = float(value)
    if not math.isfinite(moment):
        raise InvalidToken(f"{NOT_VALID}: its {claim} is no time")
    return moment


def _text(content: Mapping[str, Any], claim: str) -> str:
    """A text, empty when there is none; one that can't be written down would fail at every later use of it."""
    value = content.get(claim, "")
    if not isinstance(value, str) or not is_text(value):
        raise InvalidToken(f"{NOT_VALID}: its {claim} is no text")
    return value


def _fitting(key: str, algorithms: tuple[str, ...]) -> tuple[str, ...]:
    """A shared secret signs with `HS...`, a public key with anything else; neither ever passes for the other."""
    is_public = key.lstrip().startswith("-----BEGIN")
    return tuple(name for name in algorithms if name.startswith("HS") is not is_public)


def _keys(body: bytes, algorithms: tuple[str, ...]) -> Iterable[tuple[str, Key]]:
    """The keys that can be used. One that nobody can read, perhaps of a kind that is yet to come, is passed over."""
    for entry in msgspec.json.decode(body, type=_KeySet).keys:
        try:
            found = jwt.PyJWK.from_dict(entry)
        except Exception:  # noqa: BLE001, S112 - an issuer may name anything, and its other keys are as good as ever
            continue
        name = found.algorithm_name
        if found.key_type != "oct" and found.public_key_use in (None, "sig") and name in algorithms:
            yield str(found.key_id or ""), Key(found.key, (name,))
