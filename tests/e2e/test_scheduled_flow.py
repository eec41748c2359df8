"""A registered flow runs by its schedule (§5.6), and a restart of the server makes neither gaps nor doubles."""

import signal
from datetime import timedelta
from itertools import pairwise

from system_world import System, wait_until

ENDED = """select scheduled_start_time, auto_scheduled from flow_run
    where state = 'Success' order by scheduled_start_time"""


def test_a_flow_runs_by_its_schedule_also_over_a_restart_of_the_server():
    with System() as system:
        server = system.start_server()
        system.register("every_second.py")
        made = system.rows("select count(*) from flow_run")[0]["count"]
        assert made >= 10, "registration makes the first runs"
        system.start_agent()
        wait_until(lambda: len(system.rows(ENDED)) >= 3, about=system.text)
        server.stop(signal.SIGTERM)
        system.start_server()
        wait_until(lambda: len(system.rows(ENDED)) >= 11, about=system.text)
        ended = system.rows(ENDED)
        times = [
            row["scheduled_start_time"] for row in system.rows("select * from flow_run order by scheduled_start_time")
        ]
        assert all(row["auto_scheduled"] for row in ended)
        assert {after - before for before, after in pairwise(times)} == {timedelta(seconds=1)}
