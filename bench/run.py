"""Runs the benchmarks: `make bench`; `make bench ARGS="--rounds 21 publish_scaling"` for one of them."""

import argparse
import gc
from collections.abc import Callable, Mapping
from types import MappingProxyType

import abandoned
import durability
import fan_out
import journal
import merging
import notifications
import publish_scaling
import recovery
from tidewire.server import GC_THRESHOLDS

BENCHMARKS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "publish_scaling": publish_scaling.main,
        "fan_out": fan_out.main,
        "merging": merging.main,
        "notifications": notifications.main,
        "journal": journal.main,
        "recovery": recovery.main,
        "durability": durability.main,
        "abandoned": abandoned.main,
    }
)


def main() -> None:
    """Runs those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which; all by default")
    parser.add_argument("--rounds", type=int, default=15, help="rounds that count [15]")
    arguments = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLDS)  # as the server has it
    for name in arguments.names or BENCHMARKS:
        BENCHMARKS[name](rounds=arguments.rounds)


if __name__ == "__main__":
    main()
