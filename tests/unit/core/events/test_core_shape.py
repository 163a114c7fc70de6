"""Shapes: what decides an event's bytes (D1, R4.10)."""

import pytest

from support.core_rig import Rig, spec
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.shape import Shape, client_class
from tidewire.core.queues.descriptor import QueueSpec


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ZulipPython", ""), ("", ""), ("zephyr_mirror", "zephyr_mirror"), ("X-Mirror", "X-Mirror")],
)
def test_only_mirrors_are_a_class_of_their_own(name: str, expected: str) -> None:
    assert client_class(name) == expected


def test_a_shape_shows_what_it_is() -> None:
    assert repr(Shape(Capabilities(), "mirror")).endswith("client_class='mirror')")


def test_queues_share_a_shape_whatever_they_accept_and_it_goes_with_the_last() -> None:
    rig = Rig()
    wanted = spec()
    slim = QueueSpec(
        user_id=wanted.user_id, realm_id=wanted.realm_id, capabilities=Capabilities(slim_presence=True)
    )
    queue_ids = [
        rig.register(wanted),
        rig.register(spec(types=["a"])),
        rig.register(spec(user=2)),
        rig.register(slim),
    ]
    state = rig.engine.shard._state
    assert (state.shapes(), state.acceptances()) == (2, 2)
    assert rig.engine.shard.find(queue_ids[0]).shape is rig.engine.shard.find(queue_ids[1]).shape  # type: ignore[union-attr]  # both are there
    for queue_id, user in zip(queue_ids, (1, 1, 2, 1), strict=True):
        rig.delete(queue_id, user=user)
    assert (state.shapes(), state.acceptances()) == (0, 0)
