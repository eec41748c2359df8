"""The `prefect` command: a thin, lazily loaded shell over the library, the agent and the server process.

It reaches the API only through `prefect.client` sessions and the generated operations, and starts the server as a
process of its own.  Every failure that a user can cause ends in one sentence on standard error and a non-zero exit.
"""
