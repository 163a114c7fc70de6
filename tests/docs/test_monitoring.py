"""Alert rules and dashboard ask for metrics and labels that there are, and every metric can be seen somewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.markdown import row_terms
from tidewire.observability.metrics.collector import TABLE
from tidewire.observability.metrics.metric import Kind

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
PAGES = (ROOT / "docs" / "howto" / "watch-with-prometheus.md",)
SUFFIXES = {
    Kind.COUNTER: ("",),
    Kind.GAUGE: ("",),
    Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
    Kind.SPREAD: ("_bucket", "_gsum", "_gcount"),
}
SERIES = {metric.name + suffix: metric for metric in TABLE for suffix in SUFFIXES[metric.kind]}
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""

RULE = re.compile(
    r"      - alert: (?P<alert>Tidewire\w+)\n"
    r"        expr: (?P<expr>.+)\n"
    r"        for: \d+[sm]\n"
    r"        labels:\n"
    r"          severity: (?:warning|critical)\n"
    r'        annotations:\n          summary: "\{\{ \$labels\.instance \}\}: .+\."\n'
)


def alert_rules() -> list[re.Match[str]]:
    return list(RULE.finditer(ALERTS.read_text(encoding="utf-8")))


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for page in PAGES:
        for expression in re.findall(r"`([^`\n]*tidewire_[^`\n]*)`", page.read_text(encoding="utf-8")):
            yield page.name, expression


ASKED = list(expressions())


def problems(expression: str) -> list[str]:
    """What an expression asks for that is not there."""
    found: list[str] = []
    allowed = set(SCRAPED)
    for name, selector in re.findall(r"(tidewire_\w+)(?:\{([^}]*)\})?", expression):
        metric = SERIES.get(name)
        if metric is None:
            found.append(name)
            continue
        own = {*metric.labels, *(("le",) if name.endswith("_bucket") else ())}
        allowed |= own
        asked = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", selector))
        found += [f"{name}: {label}" for label in asked - own - SCRAPED]
    for names in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        found += [f"by {name.strip()}" for name in names.split(",") if name.strip() not in allowed]
    return found


def test_something_is_asked() -> None:
    assert len(ASKED) > 50


@pytest.mark.parametrize(("where", "expression"), ASKED, ids=[where for where, _ in ASKED])
def test_an_expression_asks_for_metrics_and_labels_that_there_are(where: str, expression: str) -> None:
    assert problems(expression) == [], where


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(tidewire_nothing_total[5m])", ["tidewire_nothing_total"]),
        ("tidewire_queue_events", ["tidewire_queue_events"]),
        ("sum by (user) (tidewire_queues)", ["by user"]),
        ('tidewire_queues{reason="x"}', ["tidewire_queues: reason"]),
    ],
)
def test_the_check_finds_what_is_wrong(expression: str, expected: list[str]) -> None:
    assert problems(expression) == expected


def test_every_alert_is_written_as_the_others_and_explained() -> None:
    text = ALERTS.read_text(encoding="utf-8")
    names = [rule["alert"] for rule in alert_rules()]
    assert len(names) == len(set(names)) == text.count("- alert:") > 10
    head, _, rest = text.partition("    rules:\n")
    assert head.endswith("groups:\n  - name: tidewire\n")
    assert RULE.sub("", rest) == ""
    assert set(names) <= row_terms(PAGES[0].read_text(encoding="utf-8"))


def test_the_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    every = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(right for right, _ in cells) < 24
        taken |= cells


def test_every_panel_says_what_it_shows_and_asks_the_chosen_source() -> None:
    for panel in panels():
        assert panel["description"], panel["title"]
        assert panel["targets"], panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${source}"}


SEEN_ELSEWHERE = {
    "tidewire_acceptances",
    "tidewire_build_info",
    "tidewire_bus_waiting",
    "tidewire_collector_runs_total",
    "tidewire_collector_seconds_total",
    "tidewire_http_lane_requests_total",
    "tidewire_journal_failures_total",
    "tidewire_journal_written_bytes_total",
    "tidewire_log_suppressed_total",
    "tidewire_memory_exhausted",
    "tidewire_memory_given_way_total",
    "tidewire_memory_part_bytes",
    "tidewire_other_realm_total",
    "tidewire_process_skipped_seconds_total",
    "tidewire_process_start_time_seconds",
    "tidewire_queues_offline",
    "tidewire_recovery_damaged_queues",
    "tidewire_recovery_queues",
    "tidewire_recovery_records",
    "tidewire_recovery_seconds",
    "tidewire_remembered_notice_ids",
    "tidewire_shapes",
    "tidewire_tombstones",
    "tidewire_users",
}
"""Metrics that neither a panel nor a rule asks for: for questions that are asked by hand."""


def test_a_metric_that_nobody_asks_for_is_known_to_be_so() -> None:
    asked = {name for _, expression in ASKED for name in re.findall(r"tidewire_\w+", expression)}
    seen = {SERIES[name].name for name in asked}
    assert {metric.name for metric in TABLE} - seen == SEEN_ELSEWHERE
