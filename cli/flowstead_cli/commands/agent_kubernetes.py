"""`prefect agent kubernetes`: run an agent that executes flow runs as Jobs, or print what makes a cluster run one."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from flowstead_cli.agent_options import (
    AgentAddress,
    AgentConfigId,
    AgentOptions,
    Api,
    Env,
    Key,
    Labels,
    LogLevel,
    MaxConcurrent,
    MaxPolls,
    Name,
    NoCloudLogs,
    TenantId,
    parse_environment,
    serve,
)
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import YELLOW, say
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from flowstead_agent.base import PlatformAgent

kubernetes = group_app("Execute flow runs as Jobs of a Kubernetes cluster.")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions(AgentOptions):
    """What `agent kubernetes start` was asked to do; None means the configured value, empty lists too."""

    namespace: str | None = None
    job_template: str | None = None
    service_account_name: str | None = None
    image_pull_secrets: str | None = None
    disable_job_deletion: bool = False


def run(options: KubernetesOptions) -> int:
    """Run a Kubernetes agent until it is told to stop.

    Raises:
        CliError: an option has a bad value, the extra is not installed, the template cannot be read, or there is no
            cluster.
    """

    def make(common: dict[str, Any]) -> "PlatformAgent":
        from prefect.agent.kubernetes import KubernetesAgent

        return KubernetesAgent(
            **common,
            namespace=options.namespace,
            job_template_path=options.job_template,
            service_account_name=options.service_account_name,
            image_pull_secrets=(options.image_pull_secrets or "").split(",") if options.image_pull_secrets else None,
            delete_finished_jobs=not options.disable_job_deletion,
        )

    return serve(options, make)


@kubernetes.command("start")
def start(
    key: Key = None,
    tenant_id: TenantId = None,
    api: Api = None,
    agent_config_id: AgentConfigId = None,
    name: Name = None,
    label: Labels = None,
    env: Env = None,
    max_polls: MaxPolls = None,
    agent_address: AgentAddress = None,
    no_cloud_logs: NoCloudLogs = False,
    log_level: LogLevel = None,
    namespace: Annotated[
        str | None, typer.Option(help="Create Jobs in this namespace. [default: $NAMESPACE, else default]")
    ] = None,
    job_template: Annotated[
        str | None, typer.Option(metavar="PATH", help="YAML file or URL (http, s3, gs) of the Job to start from.")
    ] = None,
    service_account_name: Annotated[
        str | None, typer.Option(help="Service account of flow runs. [default: $SERVICE_ACCOUNT_NAME]")
    ] = None,
    image_pull_secrets: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Secrets for pulling images, divided by commas. [default: $IMAGE_PULL_SECRETS]"
        ),
    ] = None,
    disable_job_deletion: Annotated[
        bool, typer.Option("--disable-job-deletion", help="Keep Jobs that have ended.")
    ] = False,
    max_concurrent: MaxConcurrent = None,
) -> int:
    """Start an agent that runs flow runs as Kubernetes Jobs, until Ctrl-C.

    It uses the cluster that it runs in, or else that of the kubeconfig file.  Jobs go on when the agent ends.

    Examples:

      prefect agent kubernetes start --label cluster

      prefect agent kubernetes start --namespace flows --job-template job.yaml
    """
    return run(
        KubernetesOptions(
            key=key,
            tenant_id=tenant_id,
            api=api,
            agent_config_id=agent_config_id,
            name=name,
            labels=tuple(label or ()),
            env=tuple(env or ()),
            max_polls=max_polls,
            agent_address=agent_address,
            no_cloud_logs=no_cloud_logs,
            log_level=log_level,
            namespace=namespace,
            job_template=job_template,
            service_account_name=service_account_name,
            image_pull_secrets=image_pull_secrets,
            disable_job_deletion=disable_job_deletion,
            max_concurrent=max_concurrent,
        )
    )


def install(arguments: dict[str, Any], env: tuple[str, ...]) -> None:
    """Print the manifest; `arguments` are those of `KubernetesAgent.generate_deployment_yaml`.

    Raises:
        CliError: there is no image, or an option has a bad value.
    """
    env_vars = parse_environment(env)
    from flowstead_agent.errors import AgentError
    from flowstead_agent.kubernetes import KubernetesAgent
    from prefect.configuration import config

    api = arguments["api"] or str(config.cloud.api)
    try:
        say(KubernetesAgent.generate_deployment_yaml(**{**arguments, "api": api}, env_vars=env_vars or None), end="")
    except AgentError as error:
        raise CliError(str(error), exit_code=2) from None
    if urlsplit(api).hostname in {"localhost", "127.0.0.1", "::1"}:
        say(f"Pods cannot reach {api}: name the API as the cluster sees it with --api.", YELLOW, stream=sys.stderr)


@kubernetes.command("install")
def install_command(
    image: Annotated[
        str | None, typer.Option(help="Image of the agent, in which flowstead[kubernetes] is installed.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="API key of the agent.")] = None,
    tenant_id: TenantId = None,
    label: Labels = None,
    env: Env = None,
    agent_config_id: AgentConfigId = None,
    api: Api = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Namespace of the agent and its Jobs.")
    ] = "default",
    image_pull_secrets: Annotated[
        str | None, typer.Option("--image-pull-secrets", "-i", help="Secret for pulling the images.")
    ] = None,
    rbac: Annotated[bool, typer.Option("--rbac", help="Add the rights that the agent needs.")] = False,
    latest: Annotated[bool, typer.Option("--latest", help="Take the image's tag `latest`.")] = False,
    mem_request: Annotated[str | None, typer.Option(help="Memory requested for flow runs, such as 512Mi.")] = None,
    mem_limit: Annotated[str | None, typer.Option(help="Most memory of a flow run.")] = None,
    cpu_request: Annotated[str | None, typer.Option(help="Processors requested for flow runs, such as 500m.")] = None,
    cpu_limit: Annotated[str | None, typer.Option(help="Most processors of a flow run.")] = None,
    image_pull_policy: Annotated[
        str | None, typer.Option(help="When images of flow runs are pulled: Always, IfNotPresent or Never.")
    ] = None,
    service_account_name: Annotated[str | None, typer.Option(help="Service account of flow runs.")] = None,
    backend: Annotated[str | None, typer.Option("--backend", "-b", help="Backend. [default: the current one]")] = None,
) -> None:
    """Print the YAML that makes a cluster run an agent, and nothing else.

    The API must be one that the cluster can reach.  Resources and pull policy are for flow runs that say none.

    Examples:

      prefect agent kubernetes install --image ours/flowstead:1 --rbac
    """
    install(
        {
            "image": image,
            "key": key,
            "tenant_id": tenant_id,
            "labels": tuple(label or ()),
            "agent_config_id": agent_config_id,
            "api": api,
            "namespace": namespace,
            "image_pull_secrets": image_pull_secrets,
            "rbac": rbac,
            "latest": latest,
            "mem_request": mem_request,
            "mem_limit": mem_limit,
            "cpu_request": cpu_request,
            "cpu_limit": cpu_limit,
            "image_pull_policy": image_pull_policy,
            "service_account_name": service_account_name,
            "backend": backend,
        },
        tuple(env or ()),
    )
