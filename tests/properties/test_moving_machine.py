"""Users moving between shards, in any sequence of steps, losses and crashes, held against a naive model (D7).

A publisher sends one notice at a time, again and again by any shard until it is confirmed, and repeats old ones.
Whatever happens, each queue gets each notice once, in order, and nobody is ever two shards'.
"""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.moving_steps import MovingSteps
from support.moving_world import USERS

WORKS = st.sampled_from([True, True, True, False])


class MovingMachine(MovingSteps, RuleBasedStateMachine):
    """See the module."""

    @initialize(
        count=st.integers(1, 3),
        lags=st.sampled_from([False, False, True]),
        effort=st.sampled_from([1.0, 1000.0]),
    )
    def start_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.start(**drawn)

    @precondition(lambda self: self.pending is None)
    @rule(user=st.sampled_from(USERS), choice=st.integers(0, 3))
    def register_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.register(**drawn)

    @precondition(lambda self: self.pending is None)
    @rule(
        users=st.lists(st.sampled_from(USERS), max_size=6, unique=True),
        public=st.sampled_from([False, False, True]),
        choice=st.integers(0, 3),
        fates=st.lists(WORKS, max_size=12),
    )
    def publish_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.publish(**drawn)

    @precondition(lambda self: self.pending is not None)
    @rule(choice=st.integers(0, 3), fates=st.lists(WORKS, max_size=12))
    def retry_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.retry(**drawn)

    @precondition(lambda self: self.old and self.pending is None)
    @rule(pick=st.integers(0, 99), choice=st.integers(0, 3))
    def repeat_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.repeat(**drawn)

    @rule(pick=st.integers(0, 99), choice=st.integers(0, 3), block=st.booleans(), lost=WORKS)
    def poll_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.poll(**drawn)

    @precondition(lambda self: self.world.is_settled())
    @rule(count=st.integers(1, 4))
    def draw_map_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.draw_map(**drawn)

    @rule(choice=st.integers(0, 3))
    def tell_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.tell(**drawn)

    @rule()
    def tell_all_and_agree_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.tell_all_and_agree(**drawn)

    @rule(choice=st.integers(0, 3))
    def agree_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.agree(**drawn)

    @rule(choice=st.integers(0, 3), to=st.integers(0, 3), most=st.integers(1, 5))
    def begin_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.begin(**drawn)

    @rule(
        choice=st.integers(0, 3),
        to=st.integers(0, 3),
        lost_after=st.sampled_from([None, None, None, 0, 1, 2]),
        answered=WORKS,
    )
    def send_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.send(**drawn)

    @rule(choice=st.integers(0, 3))
    def move_all_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.move_all(**drawn)

    @rule(choice=st.integers(0, 3))
    def close_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.close(**drawn)

    @rule(choice=st.integers(0, 3), other=st.integers(0, 3))
    def settle_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.settle(**drawn)

    @rule(choice=st.integers(0, 3))
    def crash_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.crash(**drawn)

    @rule(choice=st.integers(0, 3))
    def sync_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.sync(**drawn)

    @rule(choice=st.integers(0, 3))
    def keep_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.keep(**drawn)

    @rule(choice=st.integers(0, 3))
    def tick_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.tick(**drawn)

    @invariant()
    def nobody_is_two_shards__(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.nobody_is_two_shards_(**drawn)

    @invariant()
    def clients_got_what_was_for_them_(self, **drawn: Any) -> None:
        """See `MovingSteps`."""
        self.clients_got_what_was_for_them(**drawn)


TestMovingMachine = MovingMachine.TestCase
TestMovingMachine.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
    # To explain a failure it would trace every line, which takes longer than a test may.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def drawn(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A step, and with what; as often as it takes for hand-overs to be met at every stage."""

    def works() -> bool:
        return chance.random() < 0.75

    any_shard = {"choice": chance.randint(0, 3)}
    other = chance.randint(0, 3)
    fates = {"fates": [works() for _ in range(12)]}
    users = chance.sample(list(USERS), chance.randint(0, 6))
    steps: list[tuple[int, str, dict[str, Any]]] = [
        (5, "register", {"user": chance.choice(USERS), **any_shard}),
        (14, "publish", {"users": users, "public": chance.random() < 0.3, **any_shard, **fates}),
        (14, "retry", {**any_shard, **fates}),
        (6, "repeat", {"pick": chance.randint(0, 99), **any_shard}),
        (18, "poll", {"pick": chance.randint(0, 99), "block": works(), "lost": not works(), **any_shard}),
        (6, "draw_map", {"count": chance.randint(1, 4)}),
        (4, "tell", any_shard),
        (4, "tell_all_and_agree", {}),
        (2, "agree", any_shard),
        (4, "begin", {"to": other, "most": chance.randint(1, 5), **any_shard}),
        (6, "send", {"to": other, "lost_after": chance.choice([None, None, 0, 1, 2]), "answered": works()}),
        (4, "move_all", any_shard),
        (4, "close", any_shard),
        (5, "settle", {"other": other, **any_shard}),
        (3, "crash", any_shard),
        (3, "sync", any_shard),
        (2, "keep", any_shard),
        (2, "tick", any_shard),
    ]
    steps = [
        (weight, name, {**given, **any_shard} if name == "send" else given) for weight, name, given in steps
    ]
    ((_, name, given),) = chance.choices(steps, weights=[weight for weight, _, _ in steps])
    return name, given


@pytest.mark.parametrize("seed", range(60))
def test_long_walks_that_hypothesis_would_not_take(seed: int) -> None:
    chance = random.Random(seed)
    world = MovingSteps()
    world.start(chance.randint(1, 3), chance.random() < 0.3, chance.choice([1.0, 1000.0]))
    may = {
        "register": lambda: world.pending is None,
        "publish": lambda: world.pending is None,
        "retry": lambda: world.pending is not None,
        "repeat": lambda: bool(world.old) and world.pending is None,
        "draw_map": world.world.is_settled,
    }
    for _ in range(250):
        name, given = drawn(chance)
        if may.get(name, lambda: True)():
            getattr(world, name)(**given)
        world.nobody_is_two_shards_()
        world.clients_got_what_was_for_them()
    world.teardown()
