"""One module for each command noun: frozen options, `run(options)`, and the thin wiring that parses them.

`run` raises `flowstead_cli.errors.CliError` for what a user can cause; modules import what they need inside `run`, so
that `--help` stays cheap.
"""
