"""The commands `tidewire shards ...`."""
