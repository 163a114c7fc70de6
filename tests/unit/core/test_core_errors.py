"""The tree of errors: codes and statuses are promises (R6.5, D9)."""

import inspect

import pytest

from tidewire import TidewireError
from tidewire.core import errors
from tidewire.core.errors import (
    AuthenticationUnavailable,
    BadEventQueueId,
    MethodNotAllowed,
    MissingParameter,
    ParameterConflict,
    RateLimitHit,
    RequestTimeout,
    ShardMapDiffers,
    StateUnavailable,
    TooManyConnections,
    Unavailable,
    UserMoving,
)

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, TidewireError)]


def test_the_tree_in_the_docstring_has_every_class_with_its_code_and_status() -> None:
    lines = str(errors.__doc__).splitlines()
    for each in CLASSES:
        if each is not TidewireError:
            (line,) = [line for line in lines if f"── {each.__name__} " in line]
            if "WireError" not in line and "StateError" not in line:
                assert f"{each.code} {each.http_status}" in line


@pytest.mark.parametrize(
    ("error", "message", "data"),
    [
        (BadEventQueueId("q"), "Bad event queue ID: q", {"queue_id": "q", "reason": "unknown"}),
        (MissingParameter("queue_id"), "Missing 'queue_id' argument", {"var_name": "queue_id"}),
        (
            ParameterConflict("a", "b"),
            "Can't decide between 'a' and 'b' arguments",
            {"var_name1": "a", "var_name2": "b"},
        ),
        (MethodNotAllowed(["GET"]), "Method Not Allowed", {"allowed_methods": ["GET"]}),
    ],
)
def test_what_clients_read(error: errors.WireError, message: str, data: dict[str, object]) -> None:
    assert (error.message, error.data) == (message, data)


def test_only_what_passes_by_itself_is_worth_a_retry() -> None:
    assert {each for each in CLASSES if each.retry_helps} == {
        RateLimitHit,
        RequestTimeout,
        ShardMapDiffers,
        TooManyConnections,
        Unavailable,
        AuthenticationUnavailable,
        StateUnavailable,
        UserMoving,
    }
