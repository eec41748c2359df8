"""A local agent against a real server: what it starts, what it reports, and what happens when one of the parts dies."""

import os
import signal
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from agent_world import DEADLINE, Process, World, alive
from kubernetes_api import KubernetesCluster, container
from postgres_fixtures import _new_database

HELLO = """
    import prefect
    from prefect import Flow, Parameter, task

    @task
    def hello(name):
        prefect.context.get("logger").info("Hello, %s!", name)

    with Flow("hello") as flow:
        hello(Parameter("name", default="world"))
"""

# Appends a line per execution, then waits until a file appears; both are named by parameters.
WAITING = """
    import os
    import time
    from pathlib import Path

    import prefect
    from prefect import Flow, Parameter, task

    @task
    def wait(path):
        with open(path + ".started", "a") as file:
            file.write(f"{os.getpid()}\\n")
        print("printed by the process", flush=True)
        prefect.context.get("logger").info("the task waits")
        deadline = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    with Flow("waiting") as flow:
        wait(Parameter("path"))
"""

# Starts a process that has left the session and takes no notice of SIGTERM, and one that has not, and then sleeps.
SLEEPING = """
    import subprocess
    import sys
    import time
    from pathlib import Path

    from prefect import Flow, Parameter, task

    STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(3600)"

    @task
    def sleep(path, stubborn):
        child = subprocess.Popen(["sleep", "3600"])
        pids = [child.pid]
        if stubborn:
            other = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True)
            other.stdout.readline()
            pids.append(other.pid)
        Path(path + ".part").write_text(" ".join(map(str, pids)))
        Path(path + ".part").rename(path)
        time.sleep(3600)

    with Flow("sleeping") as flow:
        sleep(Parameter("path"), Parameter("stubborn", default=False))
"""

PARENT = """
    from prefect import Client, Flow, Parameter, task

    @task
    def start(flow_id, path):
        Client().create_flow_run(flow_id=flow_id, parameters={"path": path})

    with Flow("parent") as flow:
        start(Parameter("flow_id"), Parameter("path"))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("agent"), next(databases))
    it.start_server()
    yield it
    it.close()
    next(databases, None)


@pytest.fixture(scope="module")
def hello(world):
    return world.register(HELLO, "hello")


@pytest.fixture(scope="module")
def waiting(world):
    return world.register(WAITING, "waiting")


@pytest.fixture
def agents(world):
    """Starts agents, which end with the test."""
    yield world.start_agent
    while world.agents:
        world.agents.pop().stop()


def started(path):
    return [int(line) for line in Path(f"{path}.started").read_text().split()]


def states(run):
    return [entry["state"] for entry in run["states"]]


def moment(text):
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def test_a_run_goes_from_created_to_success_and_its_log_tells(world, agents, hello):
    agents()
    run_id = world.create_run(hello, parameters={"name": "Marvin"})
    run = world.wait_for_state(run_id)
    assert states(run) == ["Scheduled", "Submitted", "Running", "Success"], run
    messages = [(line["level"], line["name"], line["message"]) for line in run["logs"]]
    assert ("INFO", "prefect.hello", "Hello, Marvin!") in messages
    submitted = world.wait_for_log(run_id, "Submitted for execution: PID: ")
    assert (submitted["level"], submitted["name"]) == ("INFO", "agent")


@pytest.mark.parametrize("clock_ahead", [0, 3600, -3600])
def test_a_run_starts_at_its_time_and_not_before(world, agents, hello, clock_ahead):
    agents(clock_ahead=clock_ahead)
    start = datetime.now(UTC) + timedelta(seconds=3)
    run_id = world.create_run(hello, scheduled_start_time=start.isoformat())
    run = world.wait_for_state(run_id)
    at = {entry["state"]: moment(entry["timestamp"]) for entry in run["states"]}
    assert at["Submitted"] < start
    assert start <= at["Running"] < start + timedelta(seconds=2)


def test_a_run_that_asks_for_another_interpreter_gets_one(world, agents, hello):
    agents()
    run_config = {"type": "LocalRun", "env": {"PYTHONHASHSEED": "7"}}
    run = world.wait_for_state(world.create_run(hello, run_config=run_config, labels=[socket.gethostname()]))
    assert run["state"] == "Success", run


@pytest.mark.parametrize(
    ("run_config", "reason"),
    [
        (
            {"type": "LocalRun", "working_dir": "/no/such/place"},
            "Flow run {id} has a nonexistent `working_dir` configured: /no/such/place",
        ),
        (
            {"type": "KubernetesRun"},
            "Flow run {id} has a `run_config` of type `KubernetesRun`, only `LocalRun` is supported",
        ),
    ],
)
def test_what_cannot_be_started_fails_with_the_reason(world, agents, hello, run_config, reason):
    agents()
    run_id = world.create_run(hello, run_config=run_config, labels=[socket.gethostname()])
    run = world.wait_for_state(run_id)
    reason = reason.format(id=run_id)
    assert (run["state"], run["state_message"]) == ("Failed", reason)
    assert ("ERROR", reason) in [(line["level"], line["message"]) for line in run["logs"]]


def test_a_process_that_is_killed_fails_the_run_with_its_last_output(world, agents, waiting, tmp_path):
    agents()
    path = tmp_path / "go"
    run_id = world.create_run(waiting, parameters={"path": str(path)})
    world.wait_for_log(run_id, "the task waits")
    (pid,) = started(path)
    os.kill(pid, signal.SIGKILL)
    run = world.wait_for_state(run_id, seconds=10)
    assert run["state"] == "Failed"
    assert f"(PID {pid}) was killed by SIGKILL" in run["state_message"]
    line = world.wait_for_log(run_id, "The last of its output:")
    assert line["level"] == "ERROR"
    assert "printed by the process" in line["message"]


def test_an_agent_that_is_stopped_hands_back_what_waits_and_leaves_alone_what_runs(world, agents, waiting, tmp_path):
    agent = agents()
    running, later = tmp_path / "running", tmp_path / "later"
    running_id = world.create_run(waiting, parameters={"path": str(running)})
    start = datetime.now(UTC) + timedelta(seconds=8)
    later_id = world.create_run(waiting, parameters={"path": str(later)}, scheduled_start_time=start.isoformat())
    world.wait_for_log(running_id, "the task waits")
    world.wait_for_state(later_id, {"Submitted"})
    assert agent.stop() == 0
    handed_back = world.run(later_id)
    assert handed_back["state"] == "Scheduled", agent.text
    assert "Handed back by agent 'agent'" in handed_back["state_message"]
    (pid,) = started(running)
    assert alive(pid)
    running.touch()
    later.touch()
    assert world.wait_for_state(running_id)["state"] == "Success"
    agents()
    run = world.wait_for_state(later_id)
    assert run["state"] == "Success"
    assert len(started(later)) == 1


def test_two_agents_start_every_run_once(world, agents, waiting, tmp_path):
    first, second = agents(), agents()
    (tmp_path / "go").touch()
    paths = [tmp_path / str(number) for number in range(30)]
    for path in paths:
        path.touch()
    run_ids = [world.create_run(waiting, parameters={"path": str(path)}) for path in paths]
    runs = [world.wait_for_state(run_id, seconds=90) for run_id in run_ids]
    assert {run["state"] for run in runs} == {"Success"}
    assert {tuple(states(run)) for run in runs} == {("Scheduled", "Submitted", "Running", "Success")}
    assert [len(started(path)) for path in paths] == [1] * 30
    deployed = [sum("Completed deployment" in line for line in agent.lines) for agent in (first, second)]
    assert sum(deployed) == 30


def test_a_process_whose_run_was_taken_away_is_ended(world, agents, waiting, tmp_path):
    agents()
    path = tmp_path / "go"
    run_id = world.create_run(waiting, parameters={"path": str(path)})
    world.wait_for_log(run_id, "the task waits")
    (pid,) = started(path)
    # a person restarts the run, although it runs: the process is not its owner any more
    world.graphql(
        """mutation($id: UUID!, $state: JSON!) {
            set_flow_run_states(input: {states: [{flow_run_id: $id, state: $state}]}) { states { status } } }""",
        id=run_id,
        state={"type": "Scheduled", "message": "again"},
    )
    world.agents[0].wait_for("is not claimed by this agent any more; ending its process")
    world.agents[0].wait_for(f"PID {pid} returned non-zero exit code")
    assert not alive(pid)
    world.wait_for_log(run_id, f"PID: {world.agents[0].wait_for(rf'process PID (?!{pid}$)([0-9]+)$')[1]}")


def test_an_agent_that_is_there_before_the_api_waits_and_goes_on(postgres, template_database, tmp_path):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path, next(databases))
    try:
        agent = it.start_agent(wait=False)
        agent.wait_for("Cannot reach the API at ")
        it.start_server()
        agent.wait_for("Waiting for flow runs")
        flow_id = it.register(HELLO, "hello")
        assert it.wait_for_state(it.create_run(flow_id))["state"] == "Success"
        # and again, when the server is restarted under it
        assert it.server.stop() == 0
        agent.wait_for("Cannot reach the API at |ended the connection|broke")
        it.start_server()
        assert it.wait_for_state(it.create_run(flow_id))["state"] == "Success"
        complaints = [line for line in agent.lines if " ERROR " in line]
        assert len(complaints) == 2, agent.text
        assert agent.stop() == 0
    finally:
        it.close()
        next(databases, None)


def test_a_process_that_died_during_an_outage_is_reported_after_it(world, agents, waiting, tmp_path):
    agent = agents()
    path = tmp_path / "go"
    run_id = world.create_run(waiting, parameters={"path": str(path)})
    world.wait_for_log(run_id, "the task waits")
    assert world.server.stop() == 0
    (pid,) = started(path)
    os.kill(pid, signal.SIGKILL)
    agent.wait_for(f"PID {pid} returned non-zero exit code -9!")
    world.start_server()
    run = world.wait_for_state(run_id)
    assert run["state"] == "Failed"
    assert "was killed by SIGKILL" in run["state_message"]


def test_a_process_that_dies_while_its_run_is_cancelled_leaves_it_cancelled(world, agents, waiting, tmp_path):
    agents()
    path = tmp_path / "go"
    run_id = world.create_run(waiting, parameters={"path": str(path)})
    world.wait_for_log(run_id, "the task waits")
    query = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
    assert world.graphql(query, id=run_id)["cancel_flow_run"]["state"] == "Cancelling"
    os.kill(started(path)[0], signal.SIGKILL)
    assert world.wait_for_state(run_id)["state"] == "Cancelled"


def test_a_fork_server_that_dies_is_replaced(world, agents, hello):
    agent = agents()
    assert world.wait_for_state(world.create_run(hello))["state"] == "Success"
    (server,) = [
        child for child in psutil.Process(agent.popen.pid).children() if "fork_server" in " ".join(child.cmdline())
    ]
    server.kill()
    server.wait(10)
    assert world.wait_for_state(world.create_run(hello))["state"] == "Success"


def test_an_agent_ends_after_its_last_poll_and_on_ctrl_c(world, hello):
    run_id = world.create_run(hello)
    program = "from prefect.agent.local import LocalAgent; LocalAgent(max_polls=1, name='once').start()"
    agent = Process([sys.executable, "-c", program], world.env, world.folder)
    assert agent.wait_end() == 0
    assert world.wait_for_state(run_id)["state"] == "Success"
    agent = world.start_agent()
    world.agents.remove(agent)
    assert agent.stop(signal.SIGINT) == 0
    agent.wait_for("Keyboard interrupt received! Shutting down...")


def test_bad_settings_are_one_sentence(world):
    agent = world.start_agent(wait=False, PREFECT__CLOUD__AGENT__LABELS="prod")
    world.agents.remove(agent)
    assert agent.wait_end() == 1
    agent.wait_for("Labels must be a list of strings, not the string 'prod'")
    assert "Traceback" not in agent.text


def test_a_run_may_act_on_other_runs(world, agents, hello):
    """A claim is on one run: what a process says about another is what anybody may say."""
    agents()
    flow_id = world.register(
        """
        from prefect import Client, Flow, Parameter, task
        from prefect.engine.state import Success

        @task
        def finish(run_id):
            client = Client()
            client.set_flow_run_name(run_id, "renamed")
            client.set_flow_run_state(run_id, state=Success("said by another run"))

        with Flow("acting") as flow:
            finish(Parameter("run_id"))
        """,
        "acting",
    )
    other = world.create_run(hello, labels=["nobody-has-this"])
    run = world.wait_for_state(world.create_run(flow_id, parameters={"run_id": other}))
    assert run["state"] == "Success", run
    assert world.run(other)["state_message"] == "said by another run"


@pytest.fixture(scope="module")
def sleeping(world):
    return world.register(SLEEPING, "sleeping")


def cancel(world, flow_run_id):
    query = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
    return world.graphql(query, id=flow_run_id)["cancel_flow_run"]["state"]


def until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def pids_of(path):
    """The processes that the flow has started, when it has started them."""
    until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def test_a_sleeping_run_is_cancelled_with_all_its_processes(world, agents, sleeping, tmp_path):
    """cli-and-agents.md §19.1.3, but at once: the agent hears of it and gives a receipt."""
    agent = agents()
    flow_run_id = world.create_run(sleeping, parameters={"path": str(tmp_path / "pids")})
    pids = pids_of(tmp_path / "pids")
    own = int(world.wait_for_log(flow_run_id, "Submitted for execution: PID: ")["message"].rsplit(" ", 1)[1])
    began = time.monotonic()
    assert cancel(world, flow_run_id) == "Cancelling"
    run = world.wait_for_state(flow_run_id, {"Cancelled"})
    until(lambda: not any(map(alive, [own, *pids])))
    assert time.monotonic() - began < 3
    receipt = world.wait_for_log(flow_run_id, "Cancelled by agent")
    where = f"PID {own} on {socket.gethostname()}"
    assert f"ended {where} and 1 more of its processes by SIGTERM, after" in receipt["message"]
    assert receipt["level"] == "INFO"
    assert run["state_message"] == "Flow run is cancelled"
    # the agent goes on
    other = world.create_run(sleeping, parameters={"path": str(tmp_path / "more")})
    pids_of(tmp_path / "more")
    cancel(world, other)
    world.wait_for_state(other, {"Cancelled"})
    assert agent.popen.poll() is None


def test_processes_that_do_not_want_to_end_are_killed(world, agents, sleeping, tmp_path):
    agents(PREFECT__CLOUD__AGENT__GRACE_SECONDS="0.5")
    flow_run_id = world.create_run(sleeping, parameters={"path": str(tmp_path / "pids"), "stubborn": True})
    pids = pids_of(tmp_path / "pids")
    cancel(world, flow_run_id)
    world.wait_for_state(flow_run_id, {"Cancelled"})
    until(lambda: not any(map(alive, pids)))
    assert "and by SIGKILL for 1 that went on" in world.wait_for_log(flow_run_id, "Cancelled by agent")["message"]


def test_a_run_is_cancelled_with_the_runs_that_it_created(world, agents, sleeping, tmp_path):
    agents()
    parent_flow = world.register(PARENT, "parent")
    parameters = {"flow_id": sleeping, "path": str(tmp_path / "pids")}
    parent = world.create_run(parent_flow, parameters=parameters)
    assert world.wait_for_state(parent)["state"] == "Success"
    pids = pids_of(tmp_path / "pids")
    query = "query($id: uuid!) { flow_run_by_pk(id: $id) { child_flow_runs { id parent_flow_run { id } } } }"
    (child,) = world.graphql(query, id=parent)["flow_run_by_pk"]["child_flow_runs"]
    assert child["parent_flow_run"]["id"] == parent
    done = world.command("cancel", parent, "--children", "cascade")
    assert "had ended already, as Success. 1 run(s) that it created are cancelled too." in done
    world.wait_for_state(child["id"], {"Cancelled"})
    until(lambda: not any(map(alive, pids)))


@pytest.mark.usefixtures("agents")
def test_a_run_is_a_job_of_a_kubernetes_cluster(world, hello, tmp_path):
    """cli-and-agents.md §16, but for the cluster itself: what is in a Job's environment is all that a run needs."""
    cluster = KubernetesCluster()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        f"""
        current-context: c
        contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
        clusters: [{{name: k, cluster: {{server: {cluster.url}}}}}]
        users: [{{name: u, user: {{token: a-secret}}}}]
        """
    )
    start = [sys.executable, "-m", "prefect", "agent", "kubernetes", "start", "--namespace", "flows", "--label", "k8s"]
    try:
        world.agents.append(Process(start, world.env | {"KUBECONFIG": str(kubeconfig)}, world.folder))
        world.agents[-1].wait_for("Waiting for flow runs")

        def job_of(run):
            def name():
                jobs = (job["metadata"] for job in cluster.jobs.values())
                return next((job["name"] for job in jobs if job["labels"]["prefect.io/flow_run_id"] == run), None)

            cluster.wait_for(name, DEADLINE)
            return name()

        run_config = {"type": "KubernetesRun", "image": "ours:1"}
        first, second, third = (world.create_run(hello, labels=["k8s"], run_config=run_config) for _ in range(3))

        job = job_of(first)
        (flow_container,) = cluster.jobs[job]["spec"]["template"]["spec"]["containers"]
        variables = {entry["name"]: entry["value"] for entry in flow_container["env"]}
        command = [sys.executable, "-m", *flow_container["args"]]
        assert Process(command, world.env | variables, world.folder).wait_end() == 0
        cluster.finish(job)
        run = world.wait_for_state(first)
        assert states(run)[:1] + states(run)[-2:] == ["Scheduled", "Running", "Success"], run
        assert world.wait_for_log(first, f"Submitted for execution: Job {job}")["name"] == "agent"
        cluster.wait_for(lambda: job not in cluster.jobs)

        job = job_of(second)
        cluster.pod(job, "a-pod", "Pending", container(waiting={"reason": "ImagePullBackOff", "message": "no ours:1"}))
        assert world.wait_for_state(second)["state_message"] == "Kubernetes Error: no ours:1"
        cluster.wait_for(lambda: job not in cluster.jobs)

        job = job_of(third)
        cluster.pod(job, "b-pod", "Failed", container(terminated={"exitCode": 137, "reason": "OOMKilled"}))
        cluster.finish(job, "Failed", "Job has reached the specified backoff limit")
        run = world.wait_for_state(third)
        assert (run["state"], run["state_message"]) == (
            "Failed",
            "Kubernetes Error: pods ['b-pod'] failed for this job",
        )
        assert "\t\tExit Code: 137\n\t\tReason: OOMKilled" in world.wait_for_log(third, "Pod b-pod failed.")["message"]
    finally:
        cluster.close()
