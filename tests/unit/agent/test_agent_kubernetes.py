"""The Kubernetes launcher against a cluster's HTTP API (cli-and-agents.md §16.3): what it asks for and hears."""

import asyncio
import logging
import os
from datetime import UTC, datetime, timedelta

import kubernetes
import pytest
from kubernetes_api import KubernetesCluster, container

from flowstead_agent.environment import ApiAccess
from flowstead_agent.errors import (
    AgentError,
    LaunchError,
    LaunchOutcomeUnknownError,
    UnsupportedRunConfigError,
)
from flowstead_agent.launchers.kubernetes import KubernetesLauncher
from flowstead_agent.launchers.kubernetes_api import KubernetesApi, cluster_client
from flowstead_agent.launchers.kubernetes_jobs import IDENTIFIER, JobSettings
from flowstead_agent.launchers.protocol import ClaimedRun

LOGGER = logging.getLogger("test-kubernetes-agent")


def claimed(**run_config):
    return ClaimedRun(
        flow_run_id="a-run",
        name="able-otter",
        version=2,
        claim_token="a-token",
        start_time=datetime.now(UTC),
        restart=False,
        flow_id="a-flow",
        run_config={"type": "KubernetesRun", "image": "ours:1", **run_config},
        core_version="1.4.1",
    )


@pytest.fixture
def cluster():
    it = KubernetesCluster()
    yield it
    it.close()


def with_launcher(cluster, use, *, is_started=True, **options):
    """Run `use(launcher)` with a launcher that has started and watches."""

    async def main():
        async with asyncio.timeout(30):
            settings = JobSettings(ApiAccess("http://api:4200", "server"), ["a"], {}, True, "INFO")
            client = kubernetes.client.ApiClient(kubernetes.client.Configuration(host=cluster.url))
            api = KubernetesApi(client, "flows", IDENTIFIER)
            launcher = KubernetesLauncher(settings, api, LOGGER, retry_seconds=0.05, **options)
            if is_started:
                await launcher.start()
                await asyncio.to_thread(cluster.wait_for, lambda: cluster.watches == 2)
            try:
                return await use(launcher)
            finally:
                await launcher.close()

    return asyncio.run(main())


def only(mapping):
    (name,) = mapping
    return name


def test_a_job_that_is_complete_is_deleted(cluster):
    async def use(launcher):
        job = await launcher.launch(claimed())
        name = only(cluster.jobs)
        assert job.description == f"Job {name}"
        cluster.pod(name, "p", "Succeeded", container(terminated={"exitCode": 0}))
        cluster.finish(name)
        assert (await job.ended).ok
        await asyncio.to_thread(cluster.wait_for, lambda: not cluster.jobs)
        assert await job.terminate(5) == f"nothing: Job {name} had ended by itself"

    with_launcher(cluster, use)
    ((path, body),) = cluster.sent("DELETE", "/jobs/")
    assert path.startswith("/apis/batch/v1/namespaces/flows/jobs/prefect-job-")
    assert body == {"propagationPolicy": "Foreground"}


def test_a_failed_pod_is_told_with_what_it_says(cluster):
    async def use(launcher):
        job = await launcher.launch(claimed())
        name = only(cluster.jobs)
        terminated = {"exitCode": 137, "reason": "OOMKilled", "signal": 9}
        cluster.pod(name, "pod-b", "Failed", container(terminated=terminated), container("side", running={"x": 1}))
        cluster.pod(name, "pod-a", "Failed", reason="Evicted", message="The node was low on memory.")
        cluster.logs["pod-b"] = "about to use it all\n"
        cluster.finish(name, "Failed", "Job has reached the specified backoff limit")
        return await job.ended

    ended = with_launcher(cluster, use, delete_finished=False)
    assert not ended.ok
    assert ended.reason == "Kubernetes Error: pods ['pod-a', 'pod-b'] failed for this job"
    assert ended.output.splitlines() == [
        "Pod pod-a failed.",
        "\tEvicted: The node was low on memory.",
        "\tNo container statuses found for pod",
        "Pod pod-b failed.",
        "\tContainer 'flow' state: terminated",
        "\t\tExit Code: 137",
        "\t\tReason: OOMKilled",
        "\t\tSignal: 9",
        "\tContainer 'side' state: running",
        "about to use it all",
    ]
    assert not cluster.sent("DELETE", "")


def test_a_job_can_fail_without_pods_and_be_deleted_by_others(cluster):
    async def use(launcher):
        job = await launcher.launch(claimed())
        first = only(cluster.jobs)
        cluster.finish(first, "Failed", "Job was active longer than specified deadline")
        reason = f"Kubernetes Error: job {first} failed: Job was active longer than specified deadline"
        assert (await job.ended).reason == reason
        await asyncio.to_thread(cluster.wait_for, lambda: not cluster.jobs)
        job = await launcher.launch(claimed())
        second = only(cluster.jobs)
        with cluster.changed:
            cluster._remove_job(second)
        assert (await job.ended).reason == f"The Job of the flow run ({second}) was deleted."

    with_launcher(cluster, use)


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
)
def test_a_pod_that_can_never_start_ends_the_run(cluster, reason):
    async def use(launcher):
        job = await launcher.launch(claimed())
        name = only(cluster.jobs)
        cluster.pod(name, "p", "Pending", container(waiting={"reason": "ContainerCreating"}))
        cluster.pod(name, "p", "Pending", container(waiting={"reason": reason, "message": "no such thing: ours:1"}))
        ended = await job.ended
        assert (ended.ok, ended.reason) == (False, "Kubernetes Error: no such thing: ours:1")
        await asyncio.to_thread(cluster.wait_for, lambda: not cluster.jobs and not cluster.pods)

    with_launcher(cluster, use)


@pytest.mark.parametrize(("code", "how"), [(143, "SIGTERM"), (137, "SIGKILL")])
def test_a_cancelled_run_is_ended_with_a_receipt(cluster, code, how):
    cluster.dies_with = code

    async def use(launcher):
        job = await launcher.launch(claimed())
        name = only(cluster.jobs)
        cluster.pod(name, "pod-1", "Running", container(running={"startedAt": "2026-01-01T00:00:00Z"}))
        assert await job.terminate(6.5) == f"Job {name} with pod-1 by {how}"
        assert not (await job.ended).ok

    with_launcher(cluster, use)
    assert not cluster.jobs
    ((_, body),) = cluster.sent("DELETE", "/pods/")
    assert body == {"gracePeriodSeconds": 7}
    deletions = [path.split("/")[-2] for method, path, _ in cluster.requests if method == "DELETE"]
    assert deletions == ["jobs", "pods"]


def test_a_cluster_that_is_away_for_a_moment_still_ends_a_cancelled_run(cluster):
    async def use(launcher):
        job = await launcher.launch(claimed())
        name = only(cluster.jobs)
        cluster.refuse[("DELETE", ".*")] = (503, "away")
        ending = asyncio.ensure_future(job.terminate(5))
        await asyncio.to_thread(cluster.wait_for, lambda: len(cluster.sent("DELETE", "")) > 1)
        cluster.refuse[("DELETE", ".*")] = (403, "not yours")
        with pytest.raises(LaunchError, match=r"cannot be deleted: .*not yours"):
            await ending
        cluster.refuse.clear()
        assert await job.terminate(5) == f"Job {name}"

    with_launcher(cluster, use)


def test_events_of_what_does_not_start_are_in_the_log_of_the_run(cluster):
    def event(name, kind, of, moment, reason="Why"):
        involved = {"kind": kind, "name": of}
        message = f"about {of}"
        return {
            "metadata": {"name": name},
            "involvedObject": involved,
            "lastTimestamp": moment,
            "reason": reason,
            "message": message,
        }

    notes, told = [], asyncio.Event()

    def write(run, note):
        assert run.flow_run_id == "a-run"
        notes.append(note)
        told.set()

    async def until(number):
        while len(notes) < number:
            told.clear()
            await told.wait()

    async def use(launcher):
        launcher.report_to(write)
        await launcher.launch(claimed())
        name = only(cluster.jobs)
        cluster.events = [event("e0", "Job", name, "2026-01-01T00:00:01Z", "FailedCreate")]
        await until(1)
        cluster.pod(name, "p", "Pending")
        cluster.events += [
            event("e2", "Pod", "p", "2026-01-01T00:00:03Z"),
            event("e1", "Pod", "p", "2026-01-01T00:00:02Z", "FailedScheduling"),
            event("e3", "Pod", "p", None),
            event("e4", "Pod", "of-others", "2026-01-01T00:00:02Z"),
        ]
        await until(3)
        cluster.events[1] |= {"lastTimestamp": "2026-01-01T00:00:09Z"}
        await until(4)
        cluster.pod(name, "p", "Running")
        return name

    name = with_launcher(cluster, use, event_seconds=0.05)
    assert {(note.logger, note.level) for note in notes} == {("k8s-infra", "DEBUG")}
    assert [note.message for note in notes] == [
        f"Event: 'FailedCreate' on job '{name}'\n\tMessage: about {name}",
        "Event: 'FailedScheduling' on pod 'p'\n\tMessage: about p",
        "Event: 'Why' on pod 'p'\n\tMessage: about p",
        "Event: 'Why' on pod 'p'\n\tMessage: about p",
    ]
    assert [note.timestamp.second for note in notes] == [1, 2, 3, 9]


def test_no_end_is_missed_when_watches_break_or_expire(cluster):
    async def use(launcher):
        jobs = [await launcher.launch(claimed()) for _ in range(2)]
        first, second = cluster.jobs
        cluster.finish(first, quietly=True)
        with cluster.changed:
            del cluster.jobs[second]
        cluster.expired_watches = 2
        cluster.break_watches()
        assert (await jobs[0].ended).ok
        assert "was deleted" in (await jobs[1].ended).reason
        cluster.refuse[("GET", ".*")] = (503, "away")
        cluster.break_watches()
        asked = len(cluster.requests)
        await asyncio.to_thread(cluster.wait_for, lambda: len(cluster.requests) > asked + 2)
        cluster.refuse.clear()
        third = await launcher.launch(claimed())
        cluster.finish(only(cluster.jobs))
        assert (await third.ended).ok

    with_launcher(cluster, use)


def test_jobs_of_agents_that_are_gone_are_cleared_away(cluster):
    def job(name, age):
        metadata = {"name": name, "labels": {IDENTIFIER: name}}
        cluster.jobs[name] = {"metadata": metadata, "spec": {"template": {"metadata": {"labels": {IDENTIFIER: name}}}}}
        if age is not None:
            cluster.finish(name, "Failed", "by itself", at=datetime.now(UTC) - age)

    job("old", timedelta(minutes=3))
    job("of-another-agent", timedelta(seconds=3))
    job("running", None)
    job("without-an-image", None)
    cluster.pod("without-an-image", "p", "Pending", container(waiting={"reason": "ErrImagePull", "message": "none"}))
    cluster.pods["p"]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    job("of-another-agent-too", None)
    cluster.pod("of-another-agent-too", "q", "Pending", container(waiting={"reason": "ErrImagePull"}))
    cluster.pods["q"]["metadata"]["creationTimestamp"] = datetime.now(UTC).isoformat()

    async def use(_):
        await asyncio.to_thread(cluster.wait_for, lambda: not {"old", "without-an-image"} & set(cluster.jobs))

    with_launcher(cluster, use)
    assert set(cluster.jobs) == {"of-another-agent", "of-another-agent-too", "running"}


def test_submission_is_tried_again_and_a_conflict_is_success(cluster):
    async def use(launcher):
        cluster.lost_answers = 1
        job = await launcher.launch(claimed())
        assert job.description == f"Job {only(cluster.jobs)}"
        assert len(cluster.sent("POST", "/jobs")) == 2
        cluster.refuse[("POST", ".*/jobs")] = (503, "overloaded")
        with pytest.raises(LaunchOutcomeUnknownError, match=r"could not be submitted: .*overloaded"):
            await launcher.launch(claimed())
        assert len(cluster.sent("POST", "/jobs")) == 5
        cluster.refuse[("POST", ".*/jobs")] = (422, 'Job "x" is invalid: spec.template: Required value')
        with pytest.raises(LaunchError, match=r"refuses \(422\): Job \"x\" is invalid"):
            await launcher.launch(claimed())
        with pytest.raises(UnsupportedRunConfigError, match="`DockerRun`, only `KubernetesRun` is supported"):
            await launcher.launch(claimed(type="DockerRun"))
        with pytest.raises(LaunchError, match="template of the run config must be a mapping that describes a Job"):
            await launcher.launch(claimed(job_template=["x"]))
        with pytest.raises(LaunchError, match=r"agent:///no/such\.yaml cannot be read"):
            await launcher.launch(claimed(job_template_path="agent:///no/such.yaml"))
        cluster.refuse.clear()
        template = {"metadata": {"name": "mine"}}
        assert (await launcher.launch(claimed(job_template=template))).description.startswith("Job mine-")

    with_launcher(cluster, use)


def test_a_cluster_that_refuses_or_is_not_there(cluster):
    async def refused(launcher):
        with pytest.raises(AgentError, match=r"Jobs in the namespace 'flows'.* cannot be seen.*\(403\): may not list"):
            await launcher.start()

    async def away(launcher):
        with pytest.raises(AgentError, match="cannot be reached"):
            await launcher.start()

    cluster.refuse[("GET", ".*")] = (403, "may not list")
    with_launcher(cluster, refused, is_started=False)
    cluster.close()
    with_launcher(cluster, away, is_started=False)


def test_the_cluster_of_a_kubeconfig_file(cluster, tmp_path, monkeypatch, caplog):
    """§16.1."""
    file = tmp_path / "kubeconfig"
    file.write_text(
        f"""
        current-context: c
        contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
        clusters: [{{name: k, cluster: {{server: {cluster.url}}}}}]
        users: [{{name: u, user: {{token: a-secret}}}}]
        """
    )
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    api = KubernetesApi(cluster_client(LOGGER, keep_alive=True), "flows", IDENTIFIER)
    assert api.list_all("jobs") == ([], "1")
    assert cluster.tokens == {"Bearer a-secret"}
    assert "Using out of cluster configuration option." in caplog.text
    monkeypatch.setattr(kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(AgentError, match="No Kubernetes cluster is configured"):
        cluster_client(LOGGER)


@pytest.mark.skipif(
    not os.environ.get("FLOWSTEAD_TEST_KUBECONFIG"),
    reason="FLOWSTEAD_TEST_KUBECONFIG names no kubeconfig file of a cluster to test with",
)
def test_a_real_cluster():
    """One Job that fails, and one whose image does not exist, in the namespace `default`."""

    async def main():
        settings = JobSettings(ApiAccess("http://api:4200", "server"), [], {}, True, "INFO")
        client = kubernetes.config.new_client_from_config(os.environ["FLOWSTEAD_TEST_KUBECONFIG"])
        launcher = KubernetesLauncher(settings, KubernetesApi(client, "default", IDENTIFIER), LOGGER)
        async with asyncio.timeout(180):
            await launcher.start()
            template = {
                "spec": {"template": {"spec": {"containers": [{"command": ["sh", "-c", "echo here; exit 3"]}]}}}
            }
            failing = await launcher.launch(claimed(image="busybox", job_template=template))
            missing = await launcher.launch(claimed(image="registry.invalid/no/such:1"))
            ended = await failing.ended
            assert "Exit Code: 3" in ended.output
            assert ended.output.endswith("here")
            assert (await missing.ended).reason.startswith("Kubernetes Error: ")
            await launcher.close()

    asyncio.run(main())
