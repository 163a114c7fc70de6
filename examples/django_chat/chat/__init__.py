"""Channels, messages, who has read what, and who is typing."""
