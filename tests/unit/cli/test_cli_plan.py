"""The capacity model and its simulator, and that the page about them says what they say."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidewire.cli.capacity import Bounds, Costs, Demand, ShardLoad, Simulation, needed, sizes
from tidewire.cli.main import main

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "capacity.md"


def plan(*options: str) -> str:
    result = CliRunner().invoke(main, ["shards", "plan", *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_each_limit_asks_for_its_number_of_shards() -> None:
    costs = Costs(delivery=1e-3, notice=0.0, heartbeat_every=10.0, client_bytes=1000, process_bytes=0)
    bounds = Bounds(cpu=0.5, memory=1_000_000, connections=100)
    found = needed(Demand(clients=1000, events=54.0), costs, bounds)
    # 1,000 clients with an event or a heartbeat a second; 2,000,000 bytes with room to fill up.
    assert (found.cpu, found.memory, found.connections, found.first) == (2, 2, 10, "connections")


def test_all_clients_are_in_a_realm() -> None:
    assert sum(sizes(1000, 7)) == pytest.approx(1000)
    assert sizes(1000, 7) == sorted(sizes(1000, 7), reverse=True)


@pytest.mark.parametrize("spread", ["realm", "all"])
def test_all_clients_are_on_a_shard_and_none_has_too_many(spread: str) -> None:
    demand = Demand(clients=100_000)
    run = Simulation(demand, Costs(), shards=4, realms=100, spread=spread, seed=1)  # type: ignore[arg-type]
    assert sum(load.clients for load in run.loads) == pytest.approx(100_000)
    assert max(load.clients for load in run.loads) < 1.2 * 25_000


def test_what_a_shard_can_t_do_in_a_second_makes_it_late() -> None:
    load = ShardLoad()
    for seconds in (0.5, 2.0, 0.7, 0.1):
        load.work(seconds)
    assert load.behind == pytest.approx([0.0, 1.0, 0.7, 0.0])
    assert load.delay() == pytest.approx(1.0)


def test_spreading_every_realm_over_all_shards_costs_every_shard_every_notice() -> None:
    demand = Demand(clients=400_000, events=6.0)
    busy = {
        spread: sum(
            load.busy
            for load in Simulation(demand, Costs(), shards=15, realms=200, spread=spread, seed=1).run(20)
        )
        for spread in ("realm", "all")
    }
    assert busy["all"] > 2 * busy["realm"]


def test_the_plan_is_printed_and_repeats() -> None:
    first = plan("--clients", "100000", "--seconds", "5")
    assert "the first limit is     connections" in first
    assert plan("--clients", "100000", "--seconds", "5") == first
    found = json.loads(plan("--clients", "100000", "--seconds", "5", "--json"))
    assert found["shards"] == found["needed"]["connections"] == 4


def test_a_shard_that_does_not_keep_up_is_told_of() -> None:
    out = plan("--clients", "400000", "--shards", "1", "--events", "6", "--seconds", "5")
    assert "does not keep up" in out


def test_the_table_of_the_page_is_the_model_s() -> None:
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE.read_text(), re.MULTILINE
    )
    numbers = [[int(cell.replace(",", "")) for cell in row] for row in rows]
    assert [row[0] for row in numbers] == [10_000, 100_000, 1_000_000, 10_000_000]
    for clients, connections, widened, cpu, memory in numbers:
        narrow = needed(Demand(clients=clients), Costs(), Bounds())
        wide = needed(Demand(clients=clients), Costs(), Bounds(connections=200_000))
        assert (connections, widened, cpu, memory) == (
            narrow.connections,
            wide.connections,
            wide.cpu,
            wide.memory,
        )
