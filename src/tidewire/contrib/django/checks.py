"""Django's system checks: what is wrong with the setting, and an outbox that nobody empties."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.db import DatabaseError
from django.utils import timezone

from tidewire.contrib.django.conf import NAME, Conf, conf

LEAST_SECRET = 16
"""Characters; what is shorter can be guessed."""

WAITS_TOO_LONG = timedelta(minutes=1)

NEEDED = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)
"""Without these `whoami` knows nobody."""


def check_settings(**_arguments: Any) -> list[CheckMessage]:
    """Looks at the setting `TIDEWIRE`."""
    try:
        found = conf()
    except (TypeError, AttributeError) as error:
        hint = f'{NAME} = {{"URL": "http://127.0.0.1:9800", "SECRET": "..."}}'
        return [Error(f"The setting {NAME} is wrong: {error}.", hint=hint, id="tidewire.E001")]
    return [*_connection(found), *_functions(found), *_middleware()]


def _connection(found: Conf) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    parts = urlsplit(found.url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        problems.append(
            Error(
                f"{NAME}['URL'] is no address of a server.", hint="http://127.0.0.1:9800", id="tidewire.E002"
            )
        )
    if len(found.secret) < LEAST_SECRET and not settings.DEBUG:
        problems.append(
            Error(
                f"{NAME}['SECRET'] has fewer than {LEAST_SECRET} characters.",
                hint="It is server.secret of the server, or the file `secret` in its state directory.",
                id="tidewire.E003",
            )
        )
    if found.database not in settings.DATABASES:
        problems.append(Error(f"{NAME}['DATABASE'] is no alias of a database.", id="tidewire.E005"))
    return problems


def _functions(found: Conf) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for name in ("describe", "authenticate"):
        try:
            found.function(name)
        except ImportError as error:
            problems.append(Error(f"{NAME}['{name.upper()}']: {error}.", id="tidewire.E004"))
    return problems


def _middleware() -> list[CheckMessage]:
    return [
        Warning(f"{name} is missing, so that browser sessions can't log in.", id="tidewire.W001")
        for name in NEEDED
        if name not in settings.MIDDLEWARE
    ]


def check_outbox(databases: Sequence[str] | None = None, **_arguments: Any) -> list[CheckMessage]:
    """Looks whether the relay runs, as far as the outbox shows it: `manage.py check --database default`."""
    if not databases:
        return []
    rows = apps.get_model("tidewire", "Outgoing").objects.using(conf().database)
    problems: list[CheckMessage] = []
    try:
        oldest = rows.filter(refused=None).order_by("id").first()
        refused = rows.exclude(refused=None).count()
    except DatabaseError:
        return []  # the table is still to be made
    if oldest is not None and timezone.now() - oldest.created > WAITS_TOO_LONG:
        problems.append(
            Warning(
                f"Notices have been waiting since {oldest.created:%Y-%m-%d %H:%M:%S}.",
                hint="Run `manage.py tidewire_relay`.",
                id="tidewire.W002",
            )
        )
    if refused:
        problems.append(
            Warning(f"The server refused {refused} notices.", hint="The admin shows why.", id="tidewire.W003")
        )
    return problems
