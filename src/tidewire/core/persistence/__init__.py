"""The durable state as plain data: snapshots, recovery, and the fingerprint of the rules that shaped it."""
