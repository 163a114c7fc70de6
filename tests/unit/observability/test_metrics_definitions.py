"""The table of metrics: names as Prometheus wants them, figures that are right, and labels that are bounded."""

import asyncio
import itertools
import re
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from support.metrics import Watched, samples, watched
from tidewire.core.events.acceptance import REFUSALS
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.records import REASONS
from tidewire.observability.metrics.collector import TABLE
from tidewire.observability.metrics.metric import Kind
from tidewire.ports.bus import BusState

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
UNITS = ("seconds", "bytes")
"""Base units; all other figures are counts."""


async def busy() -> Watched:
    """A shard in which everything has happened that has labels."""
    server = watched()
    first = server.register(1, event_types=("message",))
    server.register(1, capabilities=Capabilities(apply_markdown=True))
    server.register(2)
    server.publish({"type": "typing", "op": "start"}, 1, 2)
    server.publish({"type": "made up"}, 1, notice_id="a")
    server.publish({"type": "made up"}, 1, notice_id="a")
    server.park(2, 0)
    server.publish({"type": "typing", "op": "stop"}, 2)
    server.delete(1, first)
    return server


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_a_name_follows_the_rules_of_prometheus(metric: Any) -> None:
    assert re.fullmatch(r"tidewire_[a-z]+(?:_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
    bare = metric.name.removesuffix("_total")
    for unit in UNITS:
        assert unit not in bare or re.search(rf"_{unit}(?:_max)?$", bare)
    for suffix in ("_bucket", "_count", "_sum", "_gsum", "_gcount", "_created"):
        assert not bare.endswith(suffix)
    assert not re.search(r"_(?:milliseconds|ms|kb|mb|percent|minutes|hours)(?:_|$)", metric.name)
    assert metric.meaning.endswith(".")
    for label in metric.labels:
        assert re.fullmatch(r"[a-z]+", label)
        assert label not in {"le", "quantile", "job", "instance", "user", "queue"}


def test_no_two_metrics_have_the_same_series() -> None:
    endings = ("", "_bucket", "_sum", "_count", "_gsum", "_gcount")
    names = [metric.name.removesuffix("_total") + ending for metric in TABLE for ending in endings]
    assert len(names) == len(set(names))


async def test_the_text_passes_the_parser_and_holds_each_metric_of_the_table() -> None:
    body, media_type = await (await busy()).exposition.render("")
    families = list(parse_text(body.decode()))
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    check(families, {Kind.SPREAD: "histogram"})


async def test_the_openmetrics_form_passes_its_stricter_parser() -> None:
    body, media_type = await (await busy()).exposition.render(OPENMETRICS)
    families = list(parse_openmetrics(body.decode()))  # type: ignore[no-untyped-call]  # theirs
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert body.count(b"# EOF") == 1
    check(families, {Kind.SPREAD: "gaugehistogram"})


def check(families: list[Family], spread: dict[Kind, str]) -> None:
    kinds = {
        family.name: family.type for family in families if not family.name.endswith(("_gsum", "_gcount"))
    }
    wanted = {
        metric.name.removesuffix("_total"): spread.get(metric.kind, metric.kind.value) for metric in TABLE
    }
    assert kinds == wanted
    labels = {metric.name: set(metric.labels) for metric in TABLE}
    for family in families:
        for sample in family.samples:
            name = re.sub(r"_(?:bucket|sum|count|gsum|gcount)$", "", sample.name)
            assert set(sample.labels) - {"le"} == labels[name], sample
    assert len({family.documentation for family in families if family.documentation}) >= len(TABLE)


async def test_figures_are_those_of_what_happened() -> None:
    found = await samples(await busy())
    assert found["tidewire_queues"] == 2
    assert found["tidewire_users"] == 2
    assert found["tidewire_waiting_polls"] == 0
    assert found['tidewire_notices_total{outcome="carried_out",type="typing"}'] == 2
    assert found['tidewire_notices_total{outcome="carried_out",type="other"}'] == 1
    assert found['tidewire_notices_total{outcome="repeated",type="other"}'] == 1
    assert found['tidewire_event_processing_seconds_count{type="typing"}'] == 2
    assert found['tidewire_event_processing_seconds_count{type="other"}'] == 1
    assert found["tidewire_deliveries_total"] == 4
    assert found['tidewire_refusals_total{rule="event_types"}'] == 2
    assert found['tidewire_refusals_total{rule="narrow"}'] == 0
    assert found['tidewire_queues_made_total{origin="registered"}'] == 3
    assert found['tidewire_queues_removed_total{reason="deleted"}'] == 1
    assert found["tidewire_polls_parked_total"] == 1
    assert found["tidewire_polls_answered_total"] == 1
    assert found['tidewire_queues_without_capability{capability="apply_markdown"}'] == 1
    assert found['tidewire_queues_without_capability{capability="slim_presence"}'] == 2
    assert found["tidewire_queue_events_gcount"] == 2
    assert found["tidewire_queue_events_gsum"] == 3
    assert found["tidewire_queue_events_max"] == 2
    assert found['tidewire_queue_events_bucket{le="1.0"}'] == 1
    assert found['tidewire_queue_events_bucket{le="+Inf"}'] == 2
    assert found["tidewire_queue_bytes_gsum"] > found["tidewire_queue_bytes_max"] > 20
    assert found["tidewire_bus_connected"] == 1
    assert found["tidewire_journal_failing"] == 0
    assert found["tidewire_process_open_fds"] > 2
    assert found["tidewire_process_max_fds"] > 2
    assert found["tidewire_process_cpu_seconds_total"] > 0


async def test_known_values_of_labels_are_there_before_anything_happens() -> None:
    """A rate over a series that begins with 1 would miss the first."""
    found = await samples(watched())
    for rule in REFUSALS:
        assert found[f'tidewire_refusals_total{{rule="{rule}"}}'] == 0
    for reason in REASONS:
        assert found[f'tidewire_queues_removed_total{{reason="{reason}"}}'] == 0
    for name in CAPABILITY_NAMES:
        assert found[f'tidewire_queues_without_capability{{capability="{name}"}}'] == 0
    assert found['tidewire_notifications_total{kind="push",trigger="direct_message"}'] == 0
    assert found['tidewire_turned_away_total{request="publish"}'] == 0


async def test_types_that_publishers_make_up_are_one_series() -> None:
    server = watched()
    server.register(1)
    for number in range(50):
        server.publish({"type": f"made up {number}"}, 1)
    body, _ = await server.exposition.render("")
    assert b"made up" not in body
    found = await samples(server)
    assert found['tidewire_notices_total{outcome="carried_out",type="other"}'] == 50


async def test_two_shards_in_one_process_share_nothing() -> None:
    one, two = watched(), watched()
    one.register(1)
    one.publish({"type": "typing"}, 1)
    found = await samples(two)
    assert found["tidewire_queues"] == 0
    assert found["tidewire_deliveries_total"] == 0
    assert one.exposition.registry is not two.exposition.registry
    assert (await samples(one))["tidewire_queues"] == 1


async def test_a_bus_that_is_away_is_seen() -> None:
    server = watched(bus=lambda: BusState(connected=False, waiting=3, lag=2.5))
    found = await samples(server)
    assert found["tidewire_bus_connected"] == 0
    assert found["tidewire_bus_waiting"] == 3
    assert found["tidewire_bus_lag_seconds"] == 2.5


async def test_queues_are_looked_at_once_a_second_and_counters_at_each_scrape() -> None:
    server = watched()
    server.register(1)
    assert (await samples(server))["tidewire_queues"] == 1
    server.register(1)
    found = await samples(server)
    assert found["tidewire_queues"] == 1
    assert found['tidewire_queues_made_total{origin="registered"}'] == 2
    server.seconds += 1.0
    assert (await samples(server))["tidewire_queues"] == 2


async def test_scrapes_at_the_same_time_look_at_the_queues_once() -> None:
    server = watched()
    for _ in range(10):
        server.register(1)
    began = itertools.count()
    survey = server.engine.shard.survey
    counted: list[int] = []

    def counting() -> Any:
        counted.append(next(began))
        return survey()

    bodies = await asyncio.gather(*(render(server, counting) for _ in range(5)))
    assert counted == [0]
    assert {b"tidewire_queues 10.0" in body for body in bodies} == {True}


async def render(server: Watched, survey: Any) -> bytes:
    server.exposition.shard = Surveyed(survey)  # type: ignore[assignment]  # all that it asks of a shard
    body, _ = await server.exposition.render("")
    return body


class Surveyed:
    """A shard, as far as the exposition knows it."""

    def __init__(self, survey: Any) -> None:
        self.survey = survey


async def test_other_work_gets_its_turns_while_many_queues_are_looked_at() -> None:
    server = watched()
    for user in range(200):
        for _ in range(50):
            server.register(user)
    turns = 0
    rendering = asyncio.ensure_future(server.exposition.render(""))
    while not rendering.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10_000 // 2_000
    assert b"tidewire_queues 10000.0" in (await rendering)[0]


def test_a_registry_that_nobody_has_asked_yet_is_empty() -> None:
    assert list(watched().exposition.registry.collect()) == []
