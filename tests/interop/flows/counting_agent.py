"""An agent on 1.4.1's public base class that only reports what a run would do: no process per run."""

import sys

import prefect
from prefect.agent import Agent
from prefect.engine.state import Running, Success


class CountingAgent(Agent):
    """Deploys a run by setting its states."""

    def deploy_flow(self, flow_run):
        version = flow_run.version + 1
        self.client.set_flow_run_state(flow_run.id, Running("counted"), version=version)
        self.client.set_flow_run_state(flow_run.id, Success("counted"), version=version + 1)
        return "counted"


if __name__ == "__main__":
    with prefect.context():
        CountingAgent(name=sys.argv[1], labels=["fleet"], agent_address=sys.argv[2]).start()
