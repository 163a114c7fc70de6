"""Dumps: the JSON that queues can be carried in from one server to another.

A dump is one array of pairs `[queue id, descriptor]`. What it can't say is written as the server would answer
it: a group of waiting events becomes the one event that they merge to, and a shaped event the JSON that its
client gets, with `internal_data` beside it for messages that the owner may have missed (R10.10).

Beyond the form that existed before, a descriptor of ours has two members, which other readers pass over:

- `may_access_public_channels`: the owner's access (D-1); without it there is none.
- `event_queue.resumed`: the queue comes from a crash, so ids that it no longer shows may be acknowledged (D3).
"""

from tidewire.core.dump.reader import DumpedQueue, Unreadable, read_pair, split_dump
from tidewire.core.dump.writer import write_pair

__all__ = ["DumpedQueue", "Unreadable", "read_pair", "split_dump", "write_pair"]
