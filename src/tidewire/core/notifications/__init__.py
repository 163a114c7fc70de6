"""Who is told of a message outside the server, by push or email, and why (docs/reference/behaviour.md, R5).

Pure functions of a notice, or of what a queue keeps. They read from the bottom up:

- `formats`: the names on the wire, the records and their queues;
- `facts`: what is true of one user, the sixteen fields that follow from it, and the table of triggers;
- `candidates`: the users of a notice who would be notified if they were gone;
- `outcomes`: who of them is, once it is known who is gone; and what a queue keeps for later.

Whether a user is gone is the one thing that rests on queues. The shard asks it while it decides, and writes
the outcome down: recovery could not see it again (D4).
"""
