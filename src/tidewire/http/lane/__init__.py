"""Connections: where their requests end, and polls and publishing answered on the connection itself (D5)."""
