"""A survey finds what all queues hold, however it is sliced and whatever comes and goes meanwhile."""

from typing import Any

import pytest

from support.metrics import Watched, watched
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.inspection.survey import DEPTHS, SIZES, Distribution, Survey


def filled() -> Watched:
    """Queues with 0 to 4 events, of which the first has a poll that waits."""
    server = watched()
    for user in range(5):
        server.register(user, capabilities=Capabilities(apply_markdown=user < 2))
    for _ in range(4):
        server.publish({"type": "typing"}, *range(1, 5))
    for user in range(1, 4):
        server.acknowledge(user, user - 1)
    server.park(0, -1)
    return server


def look(survey: Survey[Any], most: int) -> int:
    steps = 0
    while not survey.done:
        survey.step(most)
        steps += 1
    return steps


@pytest.mark.parametrize("most", [1, 2, 5, 1000])
def test_what_is_found_does_not_depend_on_the_slices(most: int) -> None:
    server = filled()
    survey = server.engine.shard.survey()
    assert look(survey, most) >= 5 // most
    assert (survey.queues, survey.waiting, survey.offline) == (5, 1, 0)
    assert (survey.depths.total, survey.depths.most) == (3 + 2 + 1 + 4, 4)
    assert survey.depths.counts[:3] == [1, 1, 3]
    assert sum(survey.sizes.counts) == 5
    sizes = [queue.queue.size for queue in (server.engine.shard.find(name) for name in server.ids()) if queue]
    assert (survey.sizes.total, survey.sizes.most) == (sum(sizes), max(sizes))
    assert survey.lacking == {
        name: 3 if name == "apply_markdown" else 0 if name == "pronouns_field_type_supported" else 5
        for name in CAPABILITY_NAMES
    }


def test_queues_may_come_and_go_while_it_looks() -> None:
    server = filled()
    survey = server.engine.shard.survey()
    survey.step(2)
    server.delete(4, server.ids()[4])
    server.register(9)
    look(survey, 2)
    assert survey.queues == 5
    assert survey.tables().users == 5


def test_a_shard_without_queues_has_nothing_to_be_found() -> None:
    survey = watched().engine.shard.survey()
    look(survey, 10)
    assert (survey.queues, survey.depths.total, survey.sizes.most) == (0, 0, 0)
    assert set(survey.lacking) == set(CAPABILITY_NAMES)


@pytest.mark.parametrize("bounds", [DEPTHS, SIZES])
def test_a_figure_is_in_the_class_whose_bound_it_does_not_pass(bounds: tuple[int, ...]) -> None:
    spread = Distribution(bounds)
    for bound in bounds:
        spread.add(bound)
        spread.add(bound + 1)
    assert sum(spread.counts) == 2 * len(bounds)
    assert spread.counts[0] == 1
    assert spread.counts[-1] == 1
    assert spread.most == bounds[-1] + 1
