"""The engine of one shard: it supplies the time, has the core decide, journals, applies, and answers."""
