"""What operators see of a server: its log, counters, metrics, and the memory of its process."""
