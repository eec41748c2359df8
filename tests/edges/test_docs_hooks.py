"""docs/hooks.md as it is written: its mutation, its receiver in a process of its own, its query."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli_world import Cli, start_server
from serialized_flows import serialized_flow
from system_world import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")


def block(language, number=0):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[number]


def test_the_page_works_as_it_is_written(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    file = tmp_path / "receiver.py"
    file.write_text(block("python").replace("8765", port))
    server, url = start_server(tmp_path, PREFECT__SERVER__HOOKS__ALLOW_PRIVATE="true")
    with (
        server,
        (tmp_path / "said").open("w+") as said,
        subprocess.Popen([sys.executable, file], stdout=said) as receiver,
    ):
        try:
            cli = Cli(tmp_path, url)
            mutation = block("graphql").replace("https://dashboard.example.com/prefect", f"http://127.0.0.1:{port}/x")
            cli.graphql(mutation)
            create = "mutation($input: create_flow_input!) { create_flow(input: $input) { id } }"
            project = cli.graphql('mutation { create_project(input: {name: "p"}) { id } }')["create_project"]["id"]
            flow = cli.graphql(create, input={"project_id": project, "serialized_flow": serialized_flow()})
            create = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
            members = {"flow_id": flow["create_flow"]["id"], "flow_run_name": "brave-otter"}
            run = cli.graphql(create, input=members)["create_flow_run"]["id"]
            wait_until(lambda: is_listening(int(port)))
            write = (
                "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
            )
            state = {"flow_run_id": run, "state": {"type": "Failed", "message": "boom"}}
            cli.graphql(write, input={"states": [state]})
            wait_until(
                (tmp_path / "said").read_text,
                about=lambda: cli.graphql("{ cloud_hook_delivery { last_error } }"),
            )
            assert (tmp_path / "said").read_text() == "brave-otter is Failed\n"

            forged = urllib.request.Request(f"http://127.0.0.1:{port}/x", b"{}", {"X-Flowstead-Signature": "t=1,v1=0"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(forged)
            with refused.value:
                assert refused.value.code == 403

            delivered = "{ cloud_hook_delivery { state attempts } }"
            wait_until(lambda: cli.graphql(delivered)["cloud_hook_delivery"] == [{"state": "Delivered", "attempts": 1}])
            assert cli.graphql(block("graphql", 1)) == {"cloud_hook_delivery": []}
        finally:
            receiver.send_signal(signal.SIGKILL)


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
