"""`python -m flowstead_agent`: a local agent with the configured settings, for service managers without the CLI.

Settings come from the configuration and the environment (`PREFECT__CLOUD__AGENT__...`).  Exit code 0 after a signal or
the last poll, 1 with one sentence on standard error if the agent cannot work at all.
"""

import sys

from flowstead_agent.errors import AgentError
from flowstead_agent.local import LocalAgent
from prefect.exceptions import PrefectException


def main() -> int:
    """Run a local agent and return its exit code."""
    try:
        agent = LocalAgent()
        agent.fork_off()
        agent.start()
    except (AgentError, PrefectException) as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is nowhere else to say it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
