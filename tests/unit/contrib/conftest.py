"""A Django project with a database in memory."""

from collections.abc import Iterator

import pytest

from support.django_project import setup as _setup  # noqa: F401  # Django has to be set up before its models are imported

from django.contrib.auth import get_user_model  # isort: skip
from django.core.management import call_command  # isort: skip
from django.db import connection  # isort: skip


@pytest.fixture(scope="session")
def tables() -> None:
    """The tables."""
    call_command("migrate", run_syncdb=True, verbosity=0)


@pytest.fixture
def database(tables: None) -> Iterator[None]:  # noqa: ARG001 - wanted for what it does
    """An empty database."""
    assert connection.settings_dict["NAME"] != "/"
    yield
    call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def ada(database: None) -> int:  # noqa: ARG001 - wanted for what it does
    """A user's id."""
    user = get_user_model().objects.create_user("ada", "ada@test.example", is_staff=True)
    return int(user.pk)
