"""A watched run whose server and database are restarted under it: the tail equals the stored log."""

import pytest
from system_world import System, shown_lines


@pytest.mark.slow
@pytest.mark.parametrize("violently", [False, True], ids=["stopped", "killed"])
def test_the_tail_equals_the_stored_log_over_a_restart_of_everything(violently):
    with System() as system:
        server = system.start_server()
        system.start_agent()
        system.register("everyday.py")
        watching = system.start("prefect", "run", "--name", "chatter", "--watch")
        flow_run_id = watching.wait_for(r"UUID: (\S+)")[1]
        watching.wait_for(r"\| line 700 of 3000$")
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
        assert [line for line in shown if line.startswith("line ")] == [f"line {n} of 3000" for n in range(3000)]
        assert shown == system.stored_log(flow_run_id)
        assert watching.text.count("Lost the connection") == 1
        assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running", "Success"]
