"""The shard map: which shard serves which user. Server and publisher read the same file by the same rules."""
