"""The Docker launcher against an engine's HTTP API (cli-and-agents.md §15): what it asks for, hears and refuses."""

import asyncio
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
from docker_engine import DockerEngine

from flowstead_agent.environment import ApiAccess
from flowstead_agent.errors import AgentError, LaunchError, UnsupportedRunConfigError
from flowstead_agent.launchers.docker import DockerLauncher, DockerLauncherSettings, container_url
from flowstead_agent.launchers.docker_volumes import parsed_volumes
from flowstead_agent.launchers.images import image_of
from flowstead_agent.launchers.protocol import ClaimedRun

LOGGER = logging.getLogger("test-docker-agent")


def claimed(run_config=None, storage=None, name="able otter!", core_version="1.4.1"):
    return ClaimedRun(
        flow_run_id="a-run",
        name=name,
        version=2,
        claim_token="a-token",
        start_time=datetime.now(UTC),
        restart=False,
        flow_id="a-flow",
        run_config=run_config or {"type": "DockerRun", "image": "ours/image:2"},
        storage=storage,
        flow_name="A flow",
        core_version=core_version,
    )


@pytest.fixture
def engine():
    it = DockerEngine()
    yield it
    it.close()


def with_launcher(engine, use, **changes):
    """Run `use(launcher)` with a launcher that has started."""

    async def main():
        async with asyncio.timeout(30):
            settings = DockerLauncherSettings(
                **{
                    "access": ApiAccess("http://localhost:4200/graphql", "server"),
                    "labels": ["a"],
                    "agent_env": {"X": "agent", "Y": "agent"},
                    "send_logs": True,
                    "logging_level": "INFO",
                    **changes,
                }
            )
            client = docker.DockerClient(base_url=engine.url, version="auto", timeout=10)
            launcher = DockerLauncher(settings, client, LOGGER)
            await launcher.start()
            try:
                return await use(launcher)
            finally:
                await launcher.close()

    return asyncio.run(main())


def test_a_run_becomes_a_container_and_its_end_is_heard(engine):
    async def use(launcher):
        run_config = {
            "type": "DockerRun",
            "image": "ours/image:2",
            "env": {"X": "run"},
            "ports": [8080],
            "host_config": {"auto_remove": False, "privileged": True},
        }
        container = await launcher.launch(claimed(run_config))
        ident = "0" * 64
        assert container.description == f"Container ID: {ident}"
        engine.die(ident, 3, b"cannot import x\n")
        ended = await container.ended
        assert not ended.ok
        assert ended.reason == f"The container of the flow run ({ident[:12]}) ended with exit code 3."
        assert ended.output == "cannot import x"

    volumes = parsed_volumes(["/data", "cache:/cache", "/a/../b:/c:ro", "there-already:/x"])
    with_launcher(engine, use, volumes=volumes, networks=["one", "two"])
    ((_, path, _),) = engine.sent("/images/create")
    assert "fromImage=ours%2Fimage" in path
    assert "tag=2" in path
    (created,) = engine.containers.values()
    assert created.name == "able-otter-"
    body = created.body
    assert body["Cmd"] == ["prefect", "execute", "flow-run"]
    assert body["Labels"] == {
        "io.prefect.flow-name": "A flow",
        "io.prefect.flow-id": "a-flow",
        "io.prefect.flow-run-id": "a-run",
    }
    environment = dict(line.split("=", 1) for line in body["Env"])
    assert environment == {
        "PREFECT__LOGGING__LEVEL": "INFO",
        "PREFECT__CLOUD__API": "http://host.docker.internal:4200/graphql",
        "X": "run",
        "Y": "agent",
        "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS": "true",
        "PREFECT__BACKEND": "server",
        "PREFECT__CLOUD__AGENT__LABELS": "['a']",
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
        "PREFECT__CONTEXT__FLOW_RUN_ID": "a-run",
        "PREFECT__CONTEXT__FLOW_ID": "a-flow",
        "PREFECT__CONTEXT__CLAIM_TOKEN": "a-token",
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": "prefect.engine.cloud.CloudFlowRunner",
        "PREFECT__CLOUD__API_KEY": "",
        "PREFECT__CLOUD__TENANT_ID": "",
        "PREFECT__CONTEXT__IMAGE": "ours/image:2",
    }
    host = body["HostConfig"]
    assert (host.get("AutoRemove", False), host["Privileged"]) == (False, True)
    assert host["Binds"] == ["/data:/data:rw", "cache:/cache:rw", "/b:/c:ro", "there-already:/x:rw"]
    assert host["ExtraHosts"] == ["host.docker.internal:host-gateway"]
    assert body["ExposedPorts"] == {"8080/tcp": {}}
    assert list(body["NetworkingConfig"]["EndpointsConfig"]) == ["one"]
    assert [path for _, path, _ in engine.sent("/networks/")] == ["/networks/two/connect"]
    assert [body["Name"] for _, _, body in engine.sent("/volumes/create")] == ["cache"]
    order = [path.partition("?")[0] for _, path, _ in engine.requests]
    assert order.index("/networks/two/connect") < order.index(f"/containers/{created.id}/start")


def test_a_cancelled_run_is_stopped_with_a_receipt(engine):
    async def use(launcher):
        container = await launcher.launch(claimed())
        ended = asyncio.ensure_future(container.ended)
        assert await container.terminate(7) == "container 000000000000 by SIGTERM"
        assert "was killed by SIGTERM" in (await ended).reason
        assert await container.terminate(7) == "nothing: container 000000000000 had ended by itself"
        engine.dies_of_stop = 137
        assert await (await launcher.launch(claimed())).terminate(7) == "container 000000000000 by SIGKILL"

    with_launcher(engine, use)
    assert next(path for _, path, _ in engine.sent("/stop")).endswith("/stop?t=7")
    assert [container.name for container in engine.containers.values()] == ["able-otter-", "able-otter--1"]


def test_what_the_engine_refuses_is_told(engine):
    async def use(launcher):
        engine.pull_error = "manifest unknown"
        with pytest.raises(LaunchError, match=r"ours/image:2 cannot be pulled: manifest unknown"):
            await launcher.launch(claimed())
        engine.pull_error = None
        engine.refuse[("POST", "/containers/create")] = (404, "No such image: ours/image:2")
        with pytest.raises(LaunchError, match="refuses: No such image: ours/image:2"):
            await launcher.launch(claimed())
        engine.refuse = {("POST", r"/containers/\w+/start"): (500, "no space left")}
        with pytest.raises(LaunchError, match="refuses: no space left"):
            await launcher.launch(claimed())
        assert [method for method, _, _ in engine.sent(r"^/containers/(?!create)\w+\?")] == ["DELETE"]
        with pytest.raises(UnsupportedRunConfigError, match="`KubernetesRun`, only `DockerRun` is supported"):
            await launcher.launch(claimed({"type": "KubernetesRun"}))

    with_launcher(engine, use)


def test_registries_and_local_images(engine):
    async def use(launcher):
        with pytest.raises(LaunchError, match="registry 'ours' which is not in the reg_allow_list"):
            await launcher.launch(claimed())
        await launcher.launch(claimed({"type": "DockerRun", "image": "local:1"}))
        assert not engine.sent("/images/create")
        await launcher.launch(claimed({"type": "UniversalRun", "image": "ignored"}, storage=DOCKER_STORAGE))
        assert engine.sent("fromImage=theirs%2Fflows")

    with_launcher(engine, use, reg_allow_list=["theirs"])


DOCKER_STORAGE = {"type": "Docker", "registry_url": "theirs/", "image_name": "flows", "image_tag": "3"}


@pytest.mark.parametrize(
    ("arguments", "default", "image"),
    [
        ({"run_config": {"type": "DockerRun", "image": "x"}, "storage": DOCKER_STORAGE}, "d", "theirs/flows:3"),
        ({"run_config": {"type": "DockerRun", "image": "x"}}, "d", "x"),
        ({"run_config": {"type": "DockerRun"}}, "d", "d"),
        ({"run_config": {"type": "DockerRun"}}, None, "prefecthq/prefect:1.4.1"),
        ({"run_config": {"type": "DockerRun"}, "core_version": "1.2.4+3.gabc"}, None, "prefecthq/prefect:1.2.4"),
    ],
)
def test_which_image(arguments, default, image):
    """§15.2 step 1 and §19.7."""
    run = claimed(**arguments)
    assert image_of(run, run.run_config, default) == image


def test_no_image_at_all():
    run = claimed({"type": "DockerRun"}, core_version="1.5.0")
    with pytest.raises(LaunchError, match=r"no default one for flows of version 1\.5\.0.*cloud\.agent\.default_image"):
        image_of(run, run.run_config, None)


def test_an_engine_that_is_not_there():
    engine = DockerEngine()
    client = docker.DockerClient(base_url=engine.url, version="1.47", timeout=5)
    engine.close()

    async def main():
        settings = DockerLauncherSettings(ApiAccess("http://x", "server"), [], {}, True, "INFO")
        with pytest.raises(AgentError, match="Make sure it is running"):
            await DockerLauncher(settings, client, LOGGER).start()

    asyncio.run(main())
    client.close()


def test_volume_specifications():
    """§15.3."""
    home = parsed_volumes(["~/x:/x"])[0].outer
    assert home == str(Path("~/x").expanduser())
    for wrong in ("a:b:c:d", "name:/x:ro", "/a:/b:rx", ":/b", "name"):
        with pytest.raises(AgentError, match=wrong):
            parsed_volumes([wrong])


@pytest.mark.parametrize(
    ("url", "networks", "seen"),
    [
        ("http://localhost:4200", [], "http://host.docker.internal:4200"),
        ("http://127.0.0.1:4200/graphql", [], "http://host.docker.internal:4200/graphql"),
        ("https://localhost:1", ["prefect-server"], "https://apollo:1"),
        ("https://api.example.org/graphql", [], "https://api.example.org/graphql"),
    ],
)
def test_the_address_of_the_api_in_a_container(url, networks, seen):
    """§15.4."""
    assert container_url(url, networks) == seen


@pytest.mark.skipif(
    not os.environ.get("FLOWSTEAD_TEST_DOCKER"),
    reason="FLOWSTEAD_TEST_DOCKER names no address of a Docker engine to test with, such as unix:///var/run/docker.sock",
)
def test_a_real_engine():
    """Containers that cannot start, have no image, and end."""

    async def main():
        settings = DockerLauncherSettings(ApiAccess("http://localhost:4200", "server"), [], {}, True, "INFO")
        client = docker.DockerClient(base_url=os.environ["FLOWSTEAD_TEST_DOCKER"], version="auto")
        launcher = DockerLauncher(settings, client, LOGGER)
        async with asyncio.timeout(180):
            await launcher.start()
            try:
                with pytest.raises(LaunchError, match="prefect"):
                    await launcher.launch(claimed({"type": "DockerRun", "image": "docker.io/library/busybox:stable"}))
                with pytest.raises(LaunchError, match="no/such"):
                    await launcher.launch(claimed({"type": "DockerRun", "image": "registry.invalid/no/such:1"}))
                # its entry point is git, which knows no `prefect`
                container = await launcher.launch(claimed({"type": "DockerRun", "image": "docker.io/alpine/git"}))
                ended = await container.ended
                assert ended.reason.endswith("ended with exit code 1.")
                assert "prefect" in ended.output
            finally:
                await launcher.close()

    asyncio.run(main())
