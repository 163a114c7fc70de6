"""The state of one shard, its limits and its counters."""
