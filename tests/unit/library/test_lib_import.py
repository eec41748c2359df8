"""§1: importing the library is cheap, and everything is reachable from it."""

import subprocess
import sys

HEAVY = ("gql", "graphql", "strawberry", "asyncpg", "dask", "typer", "rich", "pendulum", "httpx", "cloudpickle")


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = _run(f"import sys, prefect; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]"


def test_sub_packages_are_attributes_after_a_plain_import():
    names = (
        "engine.state.Success",
        "engine.signals.FAIL",
        "engine.result.Result",
        "engine.results.LocalResult",
        "engine.serializers.JSONSerializer",
        "engine.cache_validators.all_inputs",
        "engine.runner.ENDRUN",
        "engine.flow_runner.FlowRunner",
        "engine.task_runner.TaskRunner",
        "engine.cloud.CloudFlowRunner",
        "engine.FlowRunner",
        "triggers.all_failed",
        "storage.Local",
        "executors.LocalExecutor",
        "run_configs.UniversalRun",
        "tasks.core.constants.Constant",
        "tasks.control_flow.merge",
        "tasks.secrets.PrefectSecret",
        "client.Client",
        "core.Edge",
        "core.parameter.DateTimeParameter",
        "serialization.state.state_to_dict",
        "utilities.logging.get_logger",
        "utilities.tasks.defaults_from_attrs",
        "utilities.edges.unmapped",
        "utilities.notifications.callback_factory",
        "utilities.configuration.set_temporary_config",
        "exceptions.ClientError",
        "configuration.load_toml",
        "Flow",
        "task",
        "case",
        "resource_manager",
        "apply_map",
        "Client",
        "api",
        "plugins",
    )
    code = "import prefect\n" + "\n".join(f"prefect.{name}" for name in names) + "\nprint('ok')"
    assert _run(code) == "ok"


def test_an_unknown_name_is_an_attribute_error():
    assert _run("import prefect\ntry: prefect.nothing\nexcept AttributeError as e: print(e)") == (
        "module 'prefect' has no attribute 'nothing'"
    )
