"""§1: every name that scripts of 1.x import is where they expect it."""

import importlib
import subprocess
import sys
import warnings

import pytest

import prefect

# §1.2, and the paths that other sections name.  Where an extra is needed, the names are there without it.
PATHS = {
    "prefect": (
        "Client Flow Parameter Task __version__ api apply_map case config context flatten mapped models plugins "
        "resource_manager tags task unmapped"
    ),
    "prefect.artifacts": "create_link create_markdown delete_artifact update_link update_markdown",
    "prefect.backend": (
        "FlowRunView FlowView TaskRunView TenantView create_link_artifact create_markdown_artifact delete_artifact "
        "delete_key get_key_value list_keys set_key_value update_link_artifact update_markdown_artifact"
    ),
    "prefect.backend.execution": "execute_flow_run execute_flow_run_in_subprocess generate_flow_run_environ",
    "prefect.backend.flow_run": (
        "FlowRunLog FlowRunView check_for_compatible_agents stream_flow_run_logs watch_flow_run"
    ),
    "prefect.client": "Client Secret",
    "prefect.client.client": "Client",
    "prefect.client.secrets": "Secret",
    "prefect.configuration": (
        "BACKEND_CONFIG Config DEFAULT_CONFIG ENV_VAR_PREFIX USER_CONFIG create_user_config interpolate_env_vars "
        "load_configuration load_default_config load_toml process_task_defaults string_to_type to_environment_variables"
    ),
    "prefect.core": "Edge Flow Parameter Task",
    "prefect.core.edge": "Edge",
    "prefect.core.flow": "Flow",
    "prefect.core.parameter": "DateTimeParameter Parameter no_default",
    "prefect.core.task": "NoDefault Task",
    "prefect.engine": (
        "FlowRunner TaskRunner get_default_executor_class get_default_flow_runner_class get_default_task_runner_class "
        "signals state"
    ),
    "prefect.engine.cache_validators": (
        "all_inputs all_parameters duration_only never_use partial_inputs_only partial_parameters_only"
    ),
    "prefect.engine.cloud": "CloudFlowRunner CloudTaskRunner",
    "prefect.engine.executors": "DaskExecutor Executor LocalDaskExecutor LocalExecutor",
    "prefect.engine.flow_runner": "FlowRunner",
    "prefect.engine.result": "NoResult NoResultType Result",
    "prefect.engine.result.base": "Result ResultNotImplementedError",
    "prefect.engine.results": ("AzureResult ConstantResult GCSResult LocalResult PrefectResult S3Result SecretResult"),
    "prefect.engine.runner": "ENDRUN",
    "prefect.engine.serializers": (
        "CompressedSerializer DateTimeSerializer JSONSerializer PandasSerializer PickleSerializer Serializer"
    ),
    "prefect.engine.signals": (
        "ENDRUN FAIL LOOP PAUSE PrefectStateSignal RETRY SKIP SUCCESS TRIGGERFAIL VALIDATIONFAIL signal_from_state"
    ),
    "prefect.engine.state": (
        "Cached Cancelled Cancelling ClientFailed Failed Finished Looped Mapped Paused Pending Queued Resume Retrying "
        "Running Scheduled Skipped State Submitted Success TimedOut TriggerFailed ValidationFailed"
    ),
    "prefect.engine.task_runner": "TaskRunner",
    "prefect.exceptions": (
        "AuthorizationError ClientError FlowStorageError ObjectNotFoundError PrefectException PrefectSignal "
        "TaskTimeoutSignal VersionLockMismatchSignal"
    ),
    "prefect.executors": "DaskExecutor Executor LocalDaskExecutor LocalExecutor",
    "prefect.hello_world": "hello_flow",
    "prefect.run_configs": "DockerRun ECSRun KubernetesRun LocalRun RunConfig UniversalRun VertexRun",
    "prefect.schedules": "CronSchedule IntervalSchedule RRuleSchedule Schedule adjustments clocks filters",
    "prefect.schedules.adjustments": "add next_weekday",
    "prefect.schedules.clocks": "CronClock DatesClock IntervalClock RRuleClock",
    "prefect.schedules.filters": "at_time between_dates between_times is_weekday",
    "prefect.storage": (
        "Azure Bitbucket CodeCommit Docker GCS Git GitHub GitLab Local Module S3 Storage Webhook "
        "get_default_storage_class"
    ),
    "prefect.tasks.control_flow": "FilterTask case ifelse merge switch",
    "prefect.tasks.control_flow.case": "case",
    "prefect.tasks.control_flow.conditional": "CompareValue Merge ifelse merge switch",
    "prefect.tasks.control_flow.filter": "FilterTask",
    "prefect.tasks.core.collections": "Dict List Set Tuple",
    "prefect.tasks.core.constants": "Constant",
    "prefect.tasks.core.function": "FunctionTask",
    "prefect.tasks.core.operators": (
        "Add And Div Equal FloorDiv GetAttr GetItem GreaterThan GreaterThanOrEqual LessThan LessThanOrEqual Mod Mul "
        "Not NotEqual Or Pow Sub"
    ),
    "prefect.tasks.core.resource_manager": (
        "ResourceCleanupTask ResourceContext ResourceInitTask ResourceManager ResourceSetupTask resource_manager"
    ),
    "prefect.tasks.database": "SQLiteQuery SQLiteScript",
    "prefect.tasks.files": "Copy Glob Move Remove Unzip Zip",
    "prefect.tasks.notifications": "EmailTask SlackTask",
    "prefect.tasks.prefect": (
        "CancelFlowRun RenameFlowRun StartFlowRun create_flow_run get_task_run_result wait_for_flow_run"
    ),
    "prefect.tasks.prefect.flow_run": "StartFlowRun create_flow_run get_task_run_result wait_for_flow_run",
    "prefect.tasks.secrets": "EnvVarSecret PrefectSecret SecretBase",
    "prefect.tasks.shell": "ShellTask",
    "prefect.tasks.templates": "StringFormatter",
    "prefect.triggers": (
        "all_failed all_finished all_successful always_run any_failed any_successful manual_only not_all_skipped "
        "some_failed some_successful"
    ),
    "prefect.utilities.backend": "load_backend save_backend",
    "prefect.utilities.collections": (
        "CompoundKey DotDict as_nested_dict dict_to_flatdict flatdict_to_dict flatten_seq merge_dicts"
    ),
    "prefect.utilities.configuration": "set_temporary_config",
    "prefect.utilities.context": "Context context",
    "prefect.utilities.datetimes": "retry_delay",
    "prefect.utilities.debug": "is_serializable raise_on_exception",
    "prefect.utilities.diagnostics": "diagnostic_info",
    "prefect.utilities.edges": "EdgeAnnotation flatten mapped unmapped",
    "prefect.utilities.filesystems": "parse_path read_bytes_from_path",
    "prefect.utilities.graphql": (
        "EnumValue GQLObject GraphQLResult LiteralSetValue compress decompress parse_graphql with_args"
    ),
    "prefect.utilities.importtools": "import_object",
    "prefect.utilities.logging": (
        "CloudHandler LOG_MANAGER LogManager RedirectToLog configure_extra_loggers configure_logging "
        "create_diagnostic_logger get_logger prefect_logger temporary_logger_config"
    ),
    "prefect.utilities.notifications": (
        "callback_factory gmail_notifier jira_notifier slack_message_formatter slack_notifier"
    ),
    "prefect.utilities.serialization": "from_qualified_name to_qualified_name",
    "prefect.utilities.tasks": "apply_map as_task defaults_from_attrs pause_task tags task",
}


@pytest.mark.parametrize("path", PATHS)
def test_names_are_where_scripts_expect_them(path):
    module = importlib.import_module(path)
    with warnings.catch_warnings():
        if path == "prefect.engine.executors":  # which warns, as in 1.x, that they have moved
            warnings.simplefilter("ignore")
        missing = [name for name in PATHS[path].split() if not hasattr(module, name)]
    assert missing == []


def test_packages_are_attributes_after_a_plain_import():
    """§1.1: in a fresh interpreter, where nothing else was imported before."""
    left_out = {"prefect.backend.execution", "prefect.hello_world"}
    paths = sorted(set(PATHS) - left_out)
    code = "import prefect\n" + "\n".join(paths)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_version_is_of_the_1x_line():
    assert prefect.__version__.split(".")[0] == "1"
