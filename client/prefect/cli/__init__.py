"""The command line as an object, for programs that call it with a runner.  The commands themselves live elsewhere."""

from flowstead_cli.main import cli

__all__ = ["cli"]
