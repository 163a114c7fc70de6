"""Builds the authenticators from the settings."""

import importlib
from collections.abc import Callable, Iterable
from types import ModuleType

from structlog.typing import FilteringBoundLogger

from tidewire._http.bounded import Caller
from tidewire.auth.application import ApplicationBackend, BackendClient
from tidewire.auth.chain import AuthBackend, AuthChain
from tidewire.auth.revocation import Changes, Revoked
from tidewire.config import Settings
from tidewire.config.checks import ConfigError, Problem
from tidewire.config.secrets import read_key
from tidewire.core.ids import UserId
from tidewire.ports.auth import Authenticator, AuthGate

MAX_ANSWER = 65_536
"""Bytes of what an application says of a user."""

MAX_KEYS = 1_048_576
"""Bytes of an issuer's keys."""


def door(
    settings: Settings,
    *,
    authenticator: Authenticator,
    secret: str,
    log: FilteringBoundLogger,
    revoke: Callable[[Iterable[UserId]], object],
    inside: BackendClient | None = None,
) -> AuthGate | None:
    """Who lets requests in; None when the users file alone does.

    `inside` is the application in whose process the server runs, if it does.

    Raises:
        ConfigError: a kind can't be had.
    """
    auth = settings.auth
    if auth.kind == ("users",):
        return None
    revoked = Revoked()

    def report(error: Exception) -> None:
        log.warning("authentication failed to ask", error=str(error) or type(error).__name__)

    def on_fault(error: Exception) -> None:
        log.error("token could not be judged", error=type(error).__name__, exc_info=error)

    client = _judge(settings, secret, inside)
    return AuthChain(
        users=authenticator if "users" in auth.kind else None,
        tokens=_tokens(settings, authenticator, revoked, report, on_fault) if "jwt" in auth.kind else None,
        application=None if client is None else _application(settings, client, revoked, report, revoke),
        revoked=revoked,
        directory=authenticator,
    )


def _judge(settings: Settings, secret: str, inside: BackendClient | None) -> BackendClient | None:
    auth = settings.auth
    if "django" in auth.kind:
        if inside is None:
            raise ConfigError(
                [Problem("auth.kind", "auth.kind", "to be served by manage.py runtidewire", "django")]
            )
        if "http" in auth.kind:
            raise ConfigError(
                [Problem("auth.kind", "auth.kind", "one application to ask", "http and django")]
            )
        return inside
    if "http" not in auth.kind:
        return None
    return Caller(
        auth.http_url,
        timeout=auth.http_timeout,
        max_bytes=MAX_ANSWER,
        headers=(("X-Tidewire-Secret", secret),),
    )


def _application(
    settings: Settings,
    client: BackendClient,
    revoked: Revoked,
    report: Callable[[Exception], None],
    revoke: Callable[[Iterable[UserId]], object],
) -> AuthBackend:
    auth = settings.auth
    return ApplicationBackend(
        client,
        keep_for=auth.http_cache_ttl,
        cookies=auth.http_cookies,
        revoked=revoked,
        report=report,
        on_seen=Changes(lambda user_id: revoke([user_id])).seen,
    )


def _tokens(
    settings: Settings,
    users: Authenticator,
    revoked: Revoked,
    report: Callable[[Exception], None],
    on_fault: Callable[[Exception], None],
) -> AuthBackend:
    auth = settings.auth
    module = _token_module()
    issuers = {}
    if auth.jwt_issuer:
        key = auth.jwt_key if auth.jwt_key_file is None else read_key(auth.jwt_key_file, "auth.jwt_key_file")
        issuers[auth.jwt_issuer] = module.Issuer(algorithms=auth.jwt_algorithms, key=key)
    for entry in auth.jwt_keys:
        name, _, url = entry.partition(" ")
        caller = Caller(url.strip(), timeout=auth.http_timeout, max_bytes=MAX_KEYS)
        issuers[name] = module.Issuer(algorithms=auth.jwt_algorithms, caller=caller)
    claims = module.Claims(audience=auth.jwt_audience, user=auth.jwt_user_claim, realm=auth.jwt_realm_claim)
    kind: AuthBackend = module.TokenBackend(
        issuers, claims=claims, users=users, revoked=revoked, report=report, on_fault=on_fault
    )
    return kind


def _token_module() -> ModuleType:
    """The module that needs PyJWT, which only those install who use it."""
    try:
        return importlib.import_module("tidewire.auth.jwt")
    except ModuleNotFoundError as error:
        expected = "PyJWT to be installed: pip install 'tidewire[jwt]'"
        raise ConfigError(
            [Problem("auth.kind", "auth.kind", expected, f"no module {error.name!r}")]
        ) from None
