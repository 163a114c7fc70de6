"""Where a shard's state is kept: the journal and the snapshots."""
