"""Running several shards on one machine: processes, their log, their restarts, and the socket to command them by."""
