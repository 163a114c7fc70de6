"""State that events change: the same pure functions for a client, a server's provider and the race checker.

The *state* is a mapping of members, as `register` answers with them. An *apply function* belongs to a fetch type:
it takes the state and an event and returns the state after it. It leaves what it was given as it is, returns it
unchanged for events that don't concern it, touches no members but those of its fetch type, and may be given an
event whose change the state shows already (R7.4).
"""

from tidewire.state.reducer import Apply, Event, State, apply_event, apply_events, keyed, latest, members

__all__ = ["Apply", "Event", "State", "apply_event", "apply_events", "keyed", "latest", "members"]
