"""Users who move from one shard to another."""
