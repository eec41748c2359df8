"""The loops of an agent.

`subscribe` and `poll` only give reasons to look for work, which end in one wake-up; `claim` is the one consumer, and
the only loop that claims; `keep_alive` extends what is claimed.  Every loop survives an API that is away: it waits,
with growing pauses, and goes on.
"""
