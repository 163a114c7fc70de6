"""The tables of the chat."""
