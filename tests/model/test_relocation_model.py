"""The rules by which users are relocated, tried in every order in which things can happen (docs/explanation/relocation.md).

`python tests/model/test_relocation_model.py` prints what is found in the earlier rules, step by step, and how many states
the rules of the page were held in.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # when it is run by itself

from model.checker import Result, explore
from model.cluster import MIA, STAN, Cluster, Item, Notice, Scenario, State
from model.earlier_rules import EarlierRules
from model.relocation_rules import RELOCATION_TRANSITIONS, Fact, RelocationRules, Shard

MESSAGE = Notice("message", public=True, named=())
MENTION = Notice("mention", public=True, named=(MIA,))
NOTE = Notice("note", public=False, named=(MIA, STAN))
ONE_NOTE = Notice("note", public=False, named=(MIA,))
SECOND = Notice("second", public=False, named=(MIA,))
THREE = (MESSAGE, MENTION, NOTE)

ONCE = ((0, 1), (0, 1, 1))
"""Mia goes from A to B, and Stan stays on B."""

TWICE = (*ONCE, (1, 0))
"""After that Stan goes from B to A, and Mia stays on B."""

AND_BACK = (*ONCE, (0, 1))
"""After that Mia goes back from B to A, and Stan stays."""

WINDOWS = {
    "lost to a listener who arrives": (
        "lost: Mia's feed",
        Scenario((MESSAGE,), (1,), ONCE),
    ),
    "lost on the other queue of a listener": (
        "lost: Mia's inbox",
        Scenario((MENTION,), (1,), ONCE, doors=(2,)),
    ),
    "out of order within a request": (
        "out of order: Mia's feed",
        Scenario((MESSAGE, ONE_NOTE), (2,), ONCE, doors=(2,)),
    ),
    "doubled for one who stays": (
        "doubled: Stan's feed",
        Scenario((MESSAGE,), (1,), ONCE, by_bus=True),
    ),
    "lost when a second map follows": (
        "lost: Mia",
        Scenario((NOTE,), (1,), TWICE, by_bus=True),
    ),
    "doubled by a part that comes late": (
        "doubled: Mia",
        Scenario((NOTE, SECOND), (2,), ONCE, kills=1),
    ),
    "doubled when it is published again by the newer map": (
        "doubled: Mia",
        Scenario((NOTE,), (1,), ONCE, by_bus=True, repeats=1),
    ),
    "over while parts are still to come": (
        "late: ",
        Scenario((NOTE,), (1,), ONCE, by_bus=True),
    ),
}
"""What the earlier rules did wrong, and where it shows: seen with servers but for the two before the last."""

SCENARIOS = {
    "three notices by the shards, two maps": Scenario(THREE, (1, 1, 1), TWICE),
    "three notices by a third shard, two maps": Scenario(THREE, (1, 1, 1), TWICE, doors=(2,)),
    "three notices by the bus, two maps": Scenario(THREE, (2, 1), AND_BACK, by_bus=True),
    "three notices by the shards, two maps, a kill": Scenario(THREE, (3,), AND_BACK, kills=1),
    "three notices by the bus, two maps, a kill": Scenario(THREE, (3,), TWICE, by_bus=True, kills=1),
    "a mention by the bus, two maps, published twice": Scenario(
        (MENTION,), (1,), TWICE, by_bus=True, repeats=1
    ),
    "two notices by the bus, a kill, one of them published twice": Scenario(
        (MENTION, NOTE), (1, 1), ONCE, by_bus=True, kills=1, repeats=1
    ),
    "three notices by the bus, a kill": Scenario(THREE, (2, 1), ONCE, by_bus=True, kills=1),
    "two notices by a third shard, a kill": Scenario((MESSAGE, ONE_NOTE), (2,), ONCE, doors=(2,), kills=1),
    "two notices, two kills": Scenario((MENTION, NOTE), (2,), ONCE, kills=2),
}


def found_in_earlier_rules(scenario: Scenario, kind: str) -> Result:
    cluster = Cluster(scenario, EarlierRules(scenario))
    return explore(cluster.first(), cluster.steps, cluster.fault, counts=lambda fault: fault.startswith(kind))


def found(scenario: Scenario, rules: type[RelocationRules] = RelocationRules) -> Result:
    cluster = Cluster(scenario, rules(scenario))
    return explore(cluster.first(), cluster.steps, cluster.fault)


@pytest.mark.slow
@pytest.mark.parametrize("window", WINDOWS)
def test_the_checker_finds_each_window_of_the_earlier_rules(window: str) -> None:
    kind, scenario = WINDOWS[window]

    result = found_in_earlier_rules(scenario, kind)

    assert result.fault is not None
    assert result.trace


@pytest.mark.slow
@pytest.mark.parametrize("doors", [(0, 1), (2,)])
def test_the_earlier_rules_were_right_for_notes_that_are_sent_once(doors: tuple[int, ...]) -> None:
    scenario = Scenario((NOTE, SECOND), (1, 1), ONCE, doors=doors)

    result = found_in_earlier_rules(scenario, "")

    assert result.fault is None, str(result)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [scenario for _, scenario in WINDOWS.values()], ids=list(WINDOWS))
def test_the_rules_have_none_of_the_windows(scenario: Scenario) -> None:
    result = found(scenario)

    assert result.fault is None, str(result)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_happens_nobody_loses_doubles_or_reorders_anything(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    result = found(SCENARIOS[name])

    record_property("states", result.states)
    assert result.fault is None, str(result)


class RemembersAllAtOnce(RelocationRules):
    """Writes the short fact also for a part that has only some of the shard's users, and while somebody moves."""

    def _given_now(self, shard: Shard, item: Item, own: frozenset[int]) -> set[Fact]:
        del own
        return {(item.notice, shard.version, shard.number)}


class LeavesMemoryBehind(RelocationRules):
    """Does not send what was remembered along with the queues."""

    def _brought(self, source: Shard, user: int) -> set[Fact]:
        del source, user
        return set()


class ForgetsTheBus(RelocationRules):
    """Has a map settled when all shards are through with the relocation."""

    def waits_for(self, state: State) -> str | None:
        """One of the reasons."""
        reason = super().waits_for(state)
        return reason if reason is not None and "not through with users" in reason else None


class GivesWhileTheyLeave(RelocationRules):
    """Carries notices out for users whose queues have been sent already."""

    def _has_to_wait(self, shard: Shard, item: Item) -> bool:
        del shard, item
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (RemembersAllAtOnce, "doubled"),
        (LeavesMemoryBehind, "doubled"),
        (ForgetsTheBus, "late"),
        (GivesWhileTheyLeave, "not its own"),
    ],
)
def test_each_rule_is_needed(broken: type[RelocationRules], kind: str) -> None:
    result = found(Scenario((NOTE,), (1,), TWICE, by_bus=True, repeats=1), broken)

    assert result.fault is not None
    assert result.fault.startswith(kind), str(result)


def test_the_page_has_the_table_of_states() -> None:
    page = (Path(__file__).parents[2] / "docs/explanation/relocation.md").read_text(encoding="utf-8")
    rows = [
        tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for line in page.partition("`RELOCATION_TRANSITIONS`")[2].partition("\nA answers")[0].splitlines()
        if line.startswith("| ") and "---" not in line and "| Record |" not in line
    ]

    assert rows == [(*key, after) for key, after in RELOCATION_TRANSITIONS.items()]


if __name__ == "__main__":
    for title, (kind, scenario) in WINDOWS.items():
        sys.stdout.write(f"\nThe earlier rules, {title}:\n{found_in_earlier_rules(scenario, kind)}\n")
    for title, scenario in SCENARIOS.items():
        sys.stdout.write(f"\nThe rules, {title}: {found(scenario)}\n")
