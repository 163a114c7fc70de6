"""Runs the benchmarks: `make bench`; `make bench ARGS="--rounds 21 publish_scaling"` for one of them."""

import argparse
import gc
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import abandoned
import bus
import coming_back
import crowds
import durability
import explaining
import fan_out
import happenings
import heartbeats
import hostile
import idle_queues
import journal
import lane
import merging
import metrics
import notifications
import over_http
import publish_scaling
import recovery
import single_requests
import tracing
from building import Missing
from processes import allow_many_files
from tidewire.server.server import GC_THRESHOLDS

BENCHMARKS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "publish_scaling": publish_scaling.main,
        "fan_out": fan_out.main,
        "explaining": explaining.main,
        "tracing": tracing.main,
        "merging": merging.main,
        "metrics": metrics.main,
        "notifications": notifications.main,
        "journal": journal.main,
        "recovery": recovery.main,
        "durability": durability.main,
        "bus": bus.main,
        "abandoned": abandoned.main,
        "heartbeats": heartbeats.main,
        "lane": lane.main,
        "closed_loop": over_http.closed_loop,
        "latency": over_http.latency,
        "single_delivery": over_http.single_delivery,
        "memory": over_http.memory,
        "variants": over_http.variants,
        "idle_queues": idle_queues.main,
        "single_requests": single_requests.main,
        "fairness": crowds.fairness,
        "stopping": crowds.stopping,
        "hostile": hostile.main,
        "coming_back": coming_back.main,
        "happenings": happenings.main,
    }
)


def main() -> None:
    """Runs those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which; all by default")
    parser.add_argument("--rounds", type=int, default=15, help="rounds that count [15]")
    arguments = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLDS)  # as the server has it
    allow_many_files()
    for name in arguments.names or BENCHMARKS:
        try:
            BENCHMARKS[name](rounds=arguments.rounds)
        except Missing as missing:
            print(f"\n{name} is left out: {missing}", file=sys.stderr)


if __name__ == "__main__":
    main()
