"""Metrics for Prometheus: what is counted all over the server, read when somebody asks."""
