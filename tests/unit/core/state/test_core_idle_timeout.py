"""How long a queue lives unpolled (R2.5 to R2.7)."""

import pytest

from tidewire.core.state.limits import IdleTimeouts, Requested


@pytest.mark.parametrize(
    ("requested", "seconds"),
    [(None, 600), (0, 600), ("mobile", 43_200), (60, 60), (59, 60), (1, 60), (604_801, 604_800), (700, 700)],
)
def test_what_is_asked_for_is_kept_between_the_bounds(requested: Requested, seconds: int) -> None:
    assert IdleTimeouts().effective(requested) == seconds


def test_a_bound_of_0_is_none() -> None:
    assert IdleTimeouts(maximum=0).effective(10**9) == 10**9
    assert IdleTimeouts(minimum=0).effective(1) == 1
