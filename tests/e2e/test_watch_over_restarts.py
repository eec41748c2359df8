"""A run of 10,000 log lines whose server and database are restarted under those who follow it: what `--watch` and
`logs --follow` show equals the stored log, line for line."""

import json

import pytest
from system_world import System, shown_lines


@pytest.mark.slow
@pytest.mark.parametrize("violently", [False, True], ids=["stopped", "killed"])
def test_the_tail_equals_the_stored_log_over_a_restart_of_everything(violently):
    with System() as system:
        server = system.start_server()
        system.start_agent()
        system.register("everyday.py")
        options = ["--param", "count=10000", "--param", "pause=0.03"]
        watching = system.start("prefect", "run", "--name", "chatter", *options, "--watch")
        flow_run_id = watching.wait_for(r"UUID: (\S+)")[1]
        following = system.start("prefect", "logs", flow_run_id, "--follow", "--output", "json")
        watching.wait_for(r"\| line 700 of 10000$")
        following.wait_for('"line 0 of 10000"')
        if violently:
            postmaster = system.postmaster()
            server.popen.kill()
            server.popen.wait()
            postmaster.kill()
        else:
            assert server.stop() == 0
        watching.wait_for("Lost the connection to the API")
        system.start_server()
        assert watching.wait_end() == 0, watching.text
        shown = shown_lines(watching.text)
        assert [line for line in shown if line.startswith("line ")] == [f"line {n} of 10000" for n in range(10_000)]
        assert shown == system.stored_log(flow_run_id)
        assert following.wait_end() == 0, following.text
        followed = [json.loads(line)["message"] for line in following.text.splitlines() if line.startswith("{")]
        assert followed == shown
        assert watching.text.count("Lost the connection") == following.text.count("Lost the connection") == 1
        assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running", "Success"]
