"""The listening socket, the connections accepted on it, and uvicorn as this server uses it."""
