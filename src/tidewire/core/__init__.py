"""The pure state machine of one shard.

Nothing in here is async, reads a clock, draws randomness, logs, or touches the outside: time, ids and
jitter are arguments, and a waiting poll is an opaque token that is stored and handed back, never called.
"""
