"""Registers a queue, publishes an event into it, and prints it."""

from tidewire.client import Client
from tidewire.publisher import Publisher

URL = "http://127.0.0.1:9800"

with (
    Publisher(URL, secret="demo-secret") as publisher,
    Client(URL, email="ada@demo.example", api_key="a" * 32) as client,
):
    events = client.events(event_types=["build"], on_gap=print)  # registers a queue
    publisher.send_event(realm_id=1, event={"type": "build", "state": "done"}, users=[1, 2])
    for event in events:
        print(event)
        break
