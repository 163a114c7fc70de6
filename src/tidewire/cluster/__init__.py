"""The other shards: finding the shard of a user, sending requests to it, and moving users there."""
