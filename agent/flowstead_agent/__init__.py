"""The agent: claims flow runs from the API and launches each as a process of its own.

`loops` produce reasons to look for work, one loop claims it, `launchers` start it and `logs` writes what the agent
has to say into the logs of the runs.  The API being away never ends an agent: it says so once, waits and goes on.  A
run that cannot be started or whose process dies is reported in its own log and state; other runs are served as if
nothing had been.
"""
