"""Replaying recorded scenarios on the real engine, with a clock that only moves when told to."""
