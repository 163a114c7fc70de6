"""The fast lane: polls and publishing, answered on the connection itself (D5)."""
