"""Each generation reads what the other registered and executed: flows, runs, task runs, results, logs."""

import json
import subprocess
import sys

import pytest
from interop_world import FLOWS

READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
from prefect.backend import FlowRunView, FlowView
flow = FlowView.from_flow_name("mapping", project_name=sys.argv[1])
run = FlowRunView.from_flow_run_id(sys.argv[2], load_static_tasks=True)
double, total = run.get_task_run("double-1"), run.get_task_run("total-1")
print(json.dumps({
    "flow": [flow.flow_id == run.flow_id, flow.name, flow.project_name, flow.flow.name],
    "tasks": sorted(task.name for task in flow.flow.tasks),
    "parameters": run.parameters,
    "state": [type(run.state).__name__, run.state.message],
    "states": [type(state).__name__ for state in run.states],
    "results": [double.get_result(), total.get_result()],
    "children": [child.get_result() for child in double.iter_mapped()],
    "mapped": [type(double.state).__name__, type(total.state).__name__],
    "said": [log.message for log in run.get_logs() if log.message.startswith("total")],
}))
"""


@pytest.mark.parametrize("executing", ["old", "new"])
@pytest.mark.parametrize("registered", ["old", "new"])
def test_both_read_the_same(interop, old_agent, new_agent, registered, executing):
    project = f"read {registered} {executing}"
    command = {"old": interop.old_cli, "new": interop.cli}[registered]
    command("create", "project", project)
    command("register", "--project", project, "-p", str(FLOWS / "shared.py"), "--name", "mapping")
    (flow,) = interop.graphql("query($p: String) { flow(where: {project: {name: {_eq: $p}}}) { id } }", p=project)[
        "flow"
    ]
    flow_run_id = interop.create_run(flow["id"], labels=[executing], parameters={"numbers": [1, 10]})
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "total 22")
    answers = []
    for python, env in ((interop.old_python, interop.old_env), (sys.executable, interop.env)):
        done = subprocess.run(
            [python, "-c", READ, project, flow_run_id],
            env=env,
            cwd=interop.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    theirs, ours = answers
    assert theirs == ours
    assert ours["flow"] == [True, "mapping", project, "mapping"]
    assert ours["states"] == ["Scheduled", "Submitted", "Running", "Success"]
    assert ours["state"] == ["Success", "All reference tasks succeeded."]
    assert ours["results"] == [[2, 20], 22]
    assert ours["children"] == [2, 20]
    assert ours["mapped"] == ["Mapped", "Success"]


def test_our_command_runs_and_watches_a_flow_of_1_4_1(interop, new_agent):
    interop.old_cli("create", "project", "watched by ours")
    interop.old_cli(
        "register", "--project", "watched by ours", "-p", str(FLOWS / "shared.py"), "--name", "saying", "--label", "new"
    )
    arguments = ["--project", "watched by ours", "--name", "saying"]
    done = interop.cli("run", *arguments, "--param", "text=ours", "--label", "new", "--watch")
    assert "said ours" in done.stdout
    assert "Flow run succeeded!" in done.stdout
    assert "saying" in interop.cli("get", "flows", "--project", "watched by ours").stdout
