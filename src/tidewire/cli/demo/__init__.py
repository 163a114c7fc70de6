"""The command `tidewire demo`: a server with an example realm."""
