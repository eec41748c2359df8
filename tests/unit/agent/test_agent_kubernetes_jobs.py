"""The Job that a run becomes (cli-and-agents.md §16.2), its templates, the agent's settings and its manifest (§9.4)."""

import copy
from datetime import UTC, datetime

import kubernetes_validate
import pytest
import yaml
from http_stub import http_stub

from flowstead_agent.environment import ApiAccess
from flowstead_agent.errors import AgentError, LaunchError
from flowstead_agent.launchers.kubernetes_jobs import JobSettings, job_manifest
from flowstead_agent.launchers.kubernetes_templates import read_template
from flowstead_agent.launchers.protocol import ClaimedRun
from flowstead_cli.main import run as prefect
from prefect.agent.kubernetes import KubernetesAgent
from prefect.configuration import config

SCHEMAS = kubernetes_validate.latest_version()
TEMPLATE = {
    "metadata": {"name": "a-job-with-a-name-that-is-longer-than-48-chars-.x", "labels": {"team": "x"}},
    "spec": {
        "ttlSecondsAfterFinished": 60,
        "backoffLimit": 2,
        "template": {
            "metadata": {"annotations": {"a": "b"}},
            "spec": {
                "restartPolicy": "OnFailure",
                "serviceAccountName": "of-template",
                "imagePullSecrets": [{"name": "of-template"}],
                "containers": [
                    {
                        "name": "main",
                        "image": "of-template:1",
                        "command": ["tini", "--"],
                        "env": [
                            {"name": "PREFECT__BACKEND", "value": "replaced"},
                            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                        ],
                        "resources": {"requests": {"memory": "1Gi", "nvidia.com/gpu": 1}},
                    },
                    {"name": "sidecar", "image": "side:1"},
                ],
            },
        },
    },
}


def run(run_config=None, storage=None, core_version="1.4.1"):
    return ClaimedRun(
        flow_run_id="a-run",
        name="able-otter",
        version=2,
        claim_token="a-token",
        start_time=datetime.now(UTC),
        restart=False,
        flow_id="a-flow",
        run_config=run_config or {},
        storage=storage,
        core_version=core_version,
    )


def manifest(run_config=None, own=None, storage=None, **settings):
    common = {
        "access": ApiAccess("http://api:4200", "server", "a-key", "a-tenant"),
        "labels": ["a"],
        "agent_env": {"X": "agent", "Y": "agent", "PREFECT__CLOUD__API": "not this"},
        "send_logs": True,
        "logging_level": "INFO",
    }
    job = job_manifest(
        run(run_config, storage), run_config or {}, own, JobSettings(**{**common, **settings}), "0123abcd"
    )
    kubernetes_validate.validate(job, SCHEMAS, strict=True)
    return job


def parts(job):
    pod = job["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


def test_the_smallest_job():
    """§16.2 and §13."""
    job = manifest({"env": {"X": "run"}})
    labels = {"prefect.io/identifier": "0123abcd", "prefect.io/flow_run_id": "a-run", "prefect.io/flow_id": "a-flow"}
    environment = {
        "PREFECT__LOGGING__LEVEL": "INFO",
        "X": "run",
        "Y": "agent",
        "PREFECT__CLOUD__API": "http://api:4200",
        "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS": "true",
        "PREFECT__BACKEND": "server",
        "PREFECT__CLOUD__AGENT__LABELS": "['a']",
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
        "PREFECT__CONTEXT__FLOW_RUN_ID": "a-run",
        "PREFECT__CONTEXT__FLOW_ID": "a-flow",
        "PREFECT__CONTEXT__CLAIM_TOKEN": "a-token",
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": "prefect.engine.cloud.CloudFlowRunner",
        "PREFECT__CLOUD__API_KEY": "a-key",
        "PREFECT__CLOUD__TENANT_ID": "a-tenant",
        "PREFECT__CONTEXT__IMAGE": "prefecthq/prefect:1.4.1",
    }
    _, container = parts(job)
    assert {entry["name"]: entry["value"] for entry in container.pop("env")} == environment
    assert job == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "prefect-job-0123abcd", "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "flow",
                            "image": "prefecthq/prefect:1.4.1",
                            "args": ["prefect", "execute", "flow-run"],
                            "resources": {"requests": {}, "limits": {}},
                        }
                    ],
                },
            },
        },
    }


def test_what_a_template_has_is_kept():
    before = copy.deepcopy(TEMPLATE)
    job = manifest({"memory_limit": "2Gi", "cpu_request": "500m", "image_pull_policy": "Never"}, own=TEMPLATE)
    assert before == TEMPLATE
    assert job["metadata"]["name"] == "a-job-with-a-name-that-is-longer-than-48-chars-0123abcd"
    assert job["metadata"]["labels"]["team"] == "x"
    assert (job["spec"]["ttlSecondsAfterFinished"], job["spec"]["backoffLimit"]) == (60, 2)
    pod, container = parts(job)
    assert (pod["restartPolicy"], pod["serviceAccountName"]) == ("OnFailure", "of-template")
    assert [one["name"] for one in pod["containers"]] == ["main", "sidecar"]
    assert (container["image"], container["command"]) == ("of-template:1", ["tini", "--"])
    assert container["imagePullPolicy"] == "Never"
    assert container["resources"] == {
        "requests": {"memory": "1Gi", "nvidia.com/gpu": 1, "cpu": "500m"},
        "limits": {"memory": "2Gi"},
    }
    names = [entry["name"] for entry in container["env"]]
    assert names[-1] == "SECRET"
    assert "value" not in container["env"][-1]
    assert names.count("PREFECT__BACKEND") == 1
    assert next(one["value"] for one in container["env"] if one["name"] == "PREFECT__BACKEND") == "server"


@pytest.mark.parametrize(
    ("run_config", "own", "agents", "given", "account", "secrets"),
    [
        ({}, None, None, {}, None, None),
        ({}, None, None, {"service_account_name": "a", "image_pull_secrets": ["b", "c"]}, "a", ["b", "c"]),
        ({}, None, TEMPLATE, {"service_account_name": "a", "image_pull_secrets": ["b"]}, "a", ["b"]),
        ({}, None, TEMPLATE, {}, "of-template", ["of-template"]),
        (
            {},
            TEMPLATE,
            None,
            {"service_account_name": "a", "image_pull_secrets": ["b"]},
            "of-template",
            ["of-template"],
        ),
        ({"service_account_name": "r", "image_pull_secrets": ["s"]}, TEMPLATE, None, {}, "r", ["s"]),
        ({"image_pull_secrets": []}, TEMPLATE, None, {"image_pull_secrets": ["b"]}, "of-template", ["of-template"]),
    ],
)
def test_service_account_and_pull_secrets(run_config, own, agents, given, account, secrets):
    pod, _ = parts(manifest(run_config, own, template=agents, **given))
    assert pod.get("serviceAccountName") == account
    assert [one["name"] for one in pod.get("imagePullSecrets", [])] == (secrets or [])


@pytest.mark.parametrize(
    ("run_config", "own", "storage", "image"),
    [
        ({"image": "r"}, TEMPLATE, {"type": "Docker", "image_name": "f", "image_tag": "3"}, "f:3"),
        ({"image": "r"}, TEMPLATE, None, "r"),
        ({}, TEMPLATE, None, "of-template:1"),
        ({}, None, None, "of-settings"),
    ],
)
def test_which_image(run_config, own, storage, image):
    _, container = parts(manifest(run_config, own, storage, default_image="of-settings"))
    assert container["image"] == image


def test_volumes_and_defaults_of_an_agent():
    job = manifest(
        {"memory_request": "3Gi"},
        volumes=[{"name": "v", "emptyDir": {}}],
        volume_mounts=[{"name": "v", "mountPath": "/v"}],
        resources={"memory_request": "1Gi", "cpu_limit": "2"},
        image_pull_policy="IfNotPresent",
    )
    pod, container = parts(job)
    assert (pod["volumes"][0]["name"], container["volumeMounts"][0]["mountPath"]) == ("v", "/v")
    assert container["resources"] == {"requests": {"memory": "3Gi"}, "limits": {"cpu": "2"}}
    assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (
            {"spec": {"template": {"spec": {"containers": {"name": "x"}}}}},
            "`containers` of the job template must be a list",
        ),
        ({"spec": {"template": {"spec": {"containers": ["x"]}}}}, "first container of the job template is no mapping"),
        ({"metadata": "x"}, "`metadata` of the job template must be a mapping, but is 'x'"),
    ],
)
def test_templates_of_another_shape(template, problem):
    with pytest.raises(LaunchError, match=problem):
        job_manifest(run(), {}, template, JobSettings(ApiAccess("x", "server"), [], {}, True, "INFO", "i"), "i")


def test_where_templates_are_read(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("kind: Job\nmetadata: {name: mine}\n")
    for path in (str(file), f"file://{file}", f"agent://{file}"):
        assert read_template(path)["metadata"] == {"name": "mine"}
    file.write_text("kind: [")
    with pytest.raises(LaunchError, match=r"job\.yaml is no valid YAML: "):
        read_template(str(file))
    for text, what in (("kind: Pod", "is a Pod"), ("just words", "is str"), ("", "is NoneType")):
        file.write_text(text)
        with pytest.raises(LaunchError, match=rf"must be a mapping that describes a Job, but {what}"):
            read_template(str(file))
    with pytest.raises(LaunchError, match=r"none\.yaml cannot be read: .*No such file"):
        read_template(f"agent://{tmp_path}/none.yaml")
    with http_stub(lambda request: (200 if request.path == "/job" else 404, {}, b"metadata: {name: x}")) as web:
        assert read_template(f"{web.url}/job") == {"metadata": {"name": "x"}}
        with pytest.raises(LaunchError, match=r"cannot be read: .*HTTP status 404"):
            read_template(f"{web.url}/none")
    with pytest.raises(LaunchError, match="its scheme is 'ftp'"):
        read_template("ftp://x/job.yaml")


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    """§9.2; the variables of resources are those that `agent kubernetes install` sets."""
    variables = {
        "NAMESPACE": "ns",
        "SERVICE_ACCOUNT_NAME": "sa",
        "IMAGE_PULL_SECRETS": " a, b ,",
        "DELETE_FINISHED_JOBS": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    agent = KubernetesAgent()
    assert (agent.namespace, agent.service_account_name) == ("ns", "sa")
    assert (agent.image_pull_secrets, agent.delete_finished_jobs) == (["a", "b"], False)
    monkeypatch.setenv("DELETE_FINISHED_JOBS", "True")
    assert KubernetesAgent().delete_finished_jobs
    assert not KubernetesAgent(delete_finished_jobs=False).delete_finished_jobs
    given = KubernetesAgent(namespace="mine", service_account_name="me", image_pull_secrets=["c"])
    assert (given.namespace, given.service_account_name, given.image_pull_secrets) == ("mine", "me", ["c"])
    with pytest.raises(AgentError, match=r"none\.yaml cannot be read"):
        KubernetesAgent(job_template_path=str(tmp_path / "none.yaml"))


def validated(text):
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        kubernetes_validate.validate(document, SCHEMAS, strict=True)
    return documents


def test_the_manifest_of_an_agent(capsys):
    """§9.4."""
    command = ["agent", "kubernetes", "install", "--image", "registry:5000/ours/agent:3", "--rbac", "--latest"]
    command += ["-n", "flows", "-l", "a", "-l", "b", "-e", "X=1", "-i", "pull", "--mem-limit", "1Gi", "-k", "a-key"]
    command += ["--api", "http://api:4200", "--agent-config-id", "an-id", "--service-account-name", "sa"]
    assert prefect(command) == 0
    text = capsys.readouterr().out
    assert text.count("---\n") == 3
    deployment, role, binding = validated(text)
    assert {one["metadata"]["namespace"] for one in (deployment, role, binding)} == {"flows"}
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "registry:5000/ours/agent:latest"
    assert container["args"] == ["prefect agent kubernetes start --agent-config-id an-id"]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert [(one["name"], one["value"]) for one in container["env"]] == [
        ("PREFECT__CLOUD__API", "http://api:4200"),
        ("NAMESPACE", "flows"),
        ("IMAGE_PULL_SECRETS", "pull"),
        ("PREFECT__CLOUD__AGENT__LABELS", "['a', 'b']"),
        ("JOB_MEM_REQUEST", ""),
        ("JOB_MEM_LIMIT", "1Gi"),
        ("JOB_CPU_REQUEST", ""),
        ("JOB_CPU_LIMIT", ""),
        ("IMAGE_PULL_POLICY", ""),
        ("SERVICE_ACCOUNT_NAME", "sa"),
        ("PREFECT__BACKEND", "server"),
        ("PREFECT__CLOUD__AGENT__AGENT_ADDRESS", "http://:8080"),
        ("PREFECT__CLOUD__API_KEY", "a-key"),
        ("PREFECT__CLOUD__TENANT_ID", ""),
        ("PREFECT__CLOUD__AGENT__ENV_VARS", '{"X": "1"}'),
    ]
    assert [rule["resources"] for rule in role["rules"]] == [["jobs"], ["events", "pods", "pods/log"]]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "default", "namespace": "flows"}]


def test_the_smallest_manifest_and_one_without_an_image(capsys):
    (deployment,) = validated(KubernetesAgent.generate_deployment_yaml(image="x:1"))
    environment = {one["name"]: one["value"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["PREFECT__CLOUD__API"] == str(config.cloud.api)
    assert "PREFECT__CLOUD__AGENT__ENV_VARS" not in environment
    assert prefect(["agent", "kubernetes", "install", "--image", "x", "--api", "http://localhost:4200"]) == 0
    assert "Pods cannot reach http://localhost:4200" in capsys.readouterr().err
    assert prefect(["agent", "kubernetes", "install"]) == 2
    assert "name it with `image` (on the command line --image)" in capsys.readouterr().err
