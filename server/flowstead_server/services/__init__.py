"""What the server does by itself, one file for each task over one loop base.

Every service may run in any number of server processes at once. A failed round is logged and the loop goes on.
A round is `run_once()`: it returns what it did as a frozen dataclass of whole numbers, which the metrics add up. What
is to be done about a run is decided by pure functions of `domain`, which are given the clock.
"""
