"""`tidewire shards plan`: how many shards so many clients need, and how these would fare."""

import json
from dataclasses import asdict

import click

from tidewire.cli.capacity import Bounds, Costs, Demand, Needed, ShardLoad, Simulation, Spread, needed

MOST_SECONDS = 3600


@click.command("plan")
@click.option("--clients", type=click.IntRange(1), required=True, help="Clients connected at once.")
@click.option(
    "--events",
    type=click.FloatRange(0, min_open=True),
    default=2.0,
    show_default=True,
    help="Events a client gets a minute.",
)
@click.option(
    "--recipients",
    type=click.FloatRange(1),
    default=50.0,
    show_default=True,
    help="Clients that a notice reaches, on average.",
)
@click.option(
    "--realms",
    type=click.IntRange(1, 100_000),
    default=1000,
    show_default=True,
    help="Realms, of uneven size.",
)
@click.option(
    "--spread",
    type=click.Choice(["realm", "all"]),
    default="realm",
    show_default=True,
    help="realm: each on as few shards as hold it; all: each on all.",
)
@click.option("--shards", type=click.IntRange(1), help="Simulate so many instead of those that are needed.")
@click.option(
    "--cpu",
    type=click.FloatRange(0, 1, min_open=True),
    default=Bounds().cpu,
    show_default=True,
    help="Share of a core that a shard may take.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0.1),
    default=Bounds().memory / 1e9,
    show_default=True,
    help="GB that a shard may take.",
)
@click.option(
    "--connections",
    type=click.IntRange(1),
    default=Bounds().connections,
    show_default=True,
    help="Connections of a shard.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1, MOST_SECONDS),
    default=120,
    show_default=True,
    help="How long to simulate.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Another one gives another course of chance."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def plan_command(
    *,
    clients: int,
    events: float,
    recipients: float,
    realms: int,
    spread: Spread,
    shards: int | None,
    cpu: float,
    memory: float,
    connections: int,
    seconds: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say how many shards clients need, and simulate them."""
    demand = Demand(clients=clients, events=events, recipients=recipients)
    bounds = Bounds(cpu=cpu, memory=int(memory * 1e9), connections=connections)
    wanted = needed(demand, Costs(), bounds)
    count = shards or wanted.shards
    simulation = Simulation(demand, Costs(), shards=count, realms=realms, spread=spread, seed=seed)
    loads = simulation.run(seconds)
    if as_json:
        found = {"needed": asdict(wanted), "first": wanted.first, "shards": count, **figures(loads, seconds)}
        click.echo(json.dumps(found))
        return
    for line in text_of(demand, wanted, loads, seconds):
        click.echo(line)


def figures(loads: list[ShardLoad], seconds: int) -> dict[str, float]:
    """What the simulation came to."""
    busiest = max(loads, key=lambda load: load.busy)
    return {
        "cpu_mean": round(sum(load.busy for load in loads) / seconds / len(loads), 3),
        "cpu_busiest": round(busiest.busy / seconds, 3),
        "delay_busiest": round(max(load.delay() for load in loads), 3),
        "clients_fullest": round(max(load.clients for load in loads)),
    }


def text_of(demand: Demand, wanted: Needed, loads: list[ShardLoad], seconds: int) -> list[str]:
    """The plan for people."""
    found = figures(loads, seconds)
    lines = [
        f"{demand.clients:,} clients get {demand.deliveries:,.0f} events a second, from {demand.notices:,.0f} notices",
        f"needed by connections  {wanted.connections:,} shards",
        f"needed by CPU          {wanted.cpu:,}",
        f"needed by memory       {wanted.memory:,}",
        f"the first limit is     {wanted.first}",
        f"simulated              {len(loads):,} shards for {seconds} s",
        f"  clients of the fullest  {found['clients_fullest']:,}",
        f"  CPU, mean and busiest   {found['cpu_mean']:.2f} and {found['cpu_busiest']:.2f} of a core",
        f"  late at most (99 %)     {found['delay_busiest']:.1f} s on the busiest",
    ]
    if found["cpu_busiest"] >= 1:
        lines.append("  the busiest does not keep up: give its realms more shards, or spread them less")
    return lines
