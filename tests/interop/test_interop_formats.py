"""What is written as JSON: 1.4.1 reads what Flowstead writes, and the other way round.

wire-protocol §6.1 to §6.6; library-api §28.  The times that a schedule gives are compared, too.
"""

import json
import runpy
from datetime import UTC, timedelta
from itertools import islice

import pendulum
import pytest
from dateutil import rrule
from interop_world import FLOWS

from flowstead_server.domain.schedules import read_schedule
from prefect import run_configs, storage
from prefect.engine import results, state
from prefect.schedules import Schedule, adjustments, filters
from prefect.schedules.clocks import CronClock, DatesClock, IntervalClock, RRuleClock
from prefect.serialization.result import result_from_dict, result_to_dict
from prefect.serialization.run_config import run_config_from_dict
from prefect.serialization.schedule import schedule_from_dict, schedule_to_dict
from prefect.serialization.state import state_from_dict, state_to_dict
from prefect.serialization.storage import storage_from_dict
from prefect.utilities.datetimes import plain

STORAGES = [
    ("Azure", {"container": "c", "blob_name": "b", "connection_string_secret": "S", "stored_as_script": True}),
    ("Bitbucket", {"project": "p", "repo": "r", "workspace": "w", "path": "f.py", "cloud_username_secret": "U"}),
    ("Bitbucket", {"project": "p", "repo": "r", "host": "h", "path": "f.py", "access_token_secret": "T"}),
    ("CodeCommit", {"repo": "r", "path": "f.py", "commit": "c", "client_options": {"region_name": "x"}}),
    ("Docker", {"registry_url": "r", "image_name": "i", "image_tag": "t", "path": "/f.py", "stored_as_script": True}),
    ("GCS", {"bucket": "b", "key": "k", "project": "p"}),
    ("Git", {"flow_path": "f.py", "repo": "o/n", "branch_name": "b", "git_token_secret_name": "T", "clone_depth": 3}),
    ("Git", {"flow_path": "f.py", "repo": "o/n", "tag": "v1", "use_ssh": True, "flow_name": "f"}),
    ("GitHub", {"repo": "o/n", "path": "f.py", "ref": "r", "access_token_secret": "T", "base_url": "u"}),
    ("GitLab", {"repo": "o/n", "path": "f.py", "host": "h", "ref": "r"}),
    ("Local", {"directory": "/d", "validate": False, "path": "/p/f.py", "stored_as_script": True}),
    ("Module", {"module": "a.b"}),
    ("S3", {"bucket": "b", "key": "k", "client_options": {"endpoint_url": "u"}, "stored_as_script": True}),
    (
        "Webhook",
        {
            "build_request_kwargs": {"url": "u", "headers": {"X": "${Y}"}},
            "build_request_http_method": "POST",
            "get_flow_request_kwargs": {"url": "u"},
            "get_flow_request_http_method": "GET",
        },
    ),
]


@pytest.fixture(scope="module")
def old(library):
    """1.4.1, which can make an object from a class and arguments, and read and write it as JSON."""
    library.run(
        "import json, prefect, pendulum\n"
        "from prefect import storage, run_configs\n"
        "from prefect.serialization.flow import FlowSchema\n"
        "from prefect.serialization.storage import StorageSchema\n"
        "from prefect.serialization.run_config import RunConfigSchema\n"
        "from prefect.serialization.schedule import ScheduleSchema\n"
        "from prefect.serialization.result import StateResultSchema\n"
        "from prefect.serialization.state import StateSchema\n"
        "def through(schema, text):\n"
        "    return schema().dump(schema().load(json.loads(text)))\n"
        "def stored(kind, options):\n"
        "    made = getattr(storage, kind)(secrets=['A'], **options)\n"
        "    made.flows = {'f': 'where'}\n"
        "    return made.serialize()\n"
        "def times(text, after, n):\n"
        "    schedule = ScheduleSchema().load(json.loads(text))\n"
        "    return [m.in_timezone('UTC').isoformat() for m in schedule.next(n, after=pendulum.parse(after))]\n"
    )
    return library


def without_version(data):
    """Return data without who wrote it, and without what 1.4.1 does not know."""
    if isinstance(data, dict):
        own = {"__version__", "prefect_version", "_tz"}
        return {name: without_version(value) for name, value in data.items() if name not in own}
    if isinstance(data, list):
        return [without_version(item) for item in data]
    return data


@pytest.mark.parametrize(("kind", "options"), STORAGES, ids=lambda value: value if isinstance(value, str) else "")
def test_storages_are_read_by_both(old, kind, options):
    ours = getattr(storage, kind)(secrets=["A"], **options)
    ours.flows = {"f": "where"}
    written = ours.serialize()
    theirs = old.get(f"stored({kind!r}, {options!r})")
    assert without_version(written) == without_version(theirs)
    assert without_version(old.get(f"through(StorageSchema, {json.dumps(written)!r})")) == without_version(theirs)
    assert without_version(storage_from_dict(theirs).serialize()) == without_version(theirs)


RUN_CONFIGS = [
    ("UniversalRun", {"env": {"A": "1"}, "labels": ["b", "a"]}),
    ("LocalRun", {"working_dir": "/w", "labels": ["x"]}),
    ("DockerRun", {"image": "i", "ports": [80], "host_config": {"a": [1]}}),
    (
        "KubernetesRun",
        {"job_template": {"kind": "Job"}, "cpu_limit": 2, "memory_request": "1G", "image_pull_secrets": ["s"]},
    ),
    ("KubernetesRun", {"job_template_path": "s3://b/k", "image_pull_policy": "Always", "service_account_name": "a"}),
    ("ECSRun", {"task_definition": {"a": 1}, "cpu": 1, "memory": "2", "run_task_kwargs": {"x": 1}}),
    ("ECSRun", {"task_definition_arn": "arn", "task_role_arn": "r", "execution_role_arn": "e"}),
    ("VertexRun", {"image": "i", "scheduling": {"timeout": 1}, "worker_pool_specs": [{"a": 1}], "network": "n"}),
]


@pytest.mark.parametrize(("kind", "options"), RUN_CONFIGS, ids=lambda value: value if isinstance(value, str) else "")
def test_run_configs_are_read_by_both(old, kind, options):
    written = getattr(run_configs, kind)(**options).serialize()
    theirs = old.get(f"run_configs.{kind}(**{options!r}).serialize()")
    assert without_version(written) == without_version(theirs)
    assert without_version(old.get(f"through(RunConfigSchema, {json.dumps(written)!r})")) == without_version(theirs)
    assert without_version(run_config_from_dict(theirs).serialize()) == without_version(theirs)


NEW_YORK = pendulum.datetime(2026, 3, 6, 2, 30, tz="America/New_York")
SCHEDULES = [
    Schedule([IntervalClock(timedelta(days=1), NEW_YORK, NEW_YORK.add(days=9), {"x": [1]}, ["a"])]),
    Schedule([IntervalClock(timedelta(hours=5), NEW_YORK)], filters=[filters.is_weekday]),
    Schedule([IntervalClock(timedelta(minutes=90)), CronClock("0 9 1,15 * 1-5", NEW_YORK, day_or=False)]),
    Schedule([CronClock("*/20 1-3 * * *", NEW_YORK)], not_filters=[filters.on_date(3, 9)]),
    Schedule([CronClock("30 1 * * *", NEW_YORK.add(months=7, days=24))]),
    Schedule(
        [IntervalClock(timedelta(hours=7), NEW_YORK)],
        or_filters=[filters.is_weekend, filters.is_day_of_week(0), filters.is_month_end],
        adjustments=[adjustments.next_weekday, adjustments.add(timedelta(minutes=5))],
    ),
    Schedule([DatesClock([NEW_YORK.add(days=3), NEW_YORK])]),
    Schedule([RRuleClock(rrule.rrule(rrule.WEEKLY, dtstart=pendulum.datetime(2026, 3, 6), count=9))]),
]


@pytest.mark.parametrize("number", range(len(SCHEDULES)))
def test_schedules_give_the_same_times_in_both(old, number):
    schedule = SCHEDULES[number]
    text = json.dumps(schedule_to_dict(schedule))
    after = NEW_YORK.subtract(seconds=1) if number != 4 else NEW_YORK.add(months=7, days=24)
    ours = [moment.in_timezone("UTC").isoformat() for moment in schedule.next(12, after=after)]
    assert old.get(f"times({text!r}, {after.isoformat()!r}, 12)") == ours
    theirs = old.get(f"through(ScheduleSchema, {text!r})")
    again = schedule_from_dict(theirs)
    assert [moment.in_timezone("UTC").isoformat() for moment in again.next(12, after=after)] == ours
    events = islice(read_schedule(theirs).events(plain(after).astimezone(UTC)), 12)
    assert [pendulum.instance(event.start).isoformat() for event in events] == ours, "as the server's scheduler has it"


def without_annotations(data):
    """Return a flow without what the library's own tasks say of their arguments, which is for people only."""
    for item in data["tasks"]:
        if item["type"].startswith("prefect.tasks."):
            item["outputs"] = None
            for argument in item["inputs"].values():
                argument["type"] = None
    if data["schedule"] is not None:
        data["schedule"].pop("type", None)
    return without_version(data)


def test_flows_are_written_alike(old):
    """§28.1: slugs, edges, tags, triggers, automatic tasks."""
    path = str(FLOWS / "serialized.py")
    old.run(f"import runpy\nserialized = runpy.run_path({path!r}, run_name='flows')['serialized']")
    ours = json.loads(json.dumps(runpy.run_path(path, run_name="flows")["serialized"]()))
    theirs = old.get("serialized()")
    for mine, other in zip(ours, theirs, strict=True):
        assert without_annotations(mine) == without_annotations(other)
        again = without_version(old.get(f"through(FlowSchema, {json.dumps(mine)!r})"))
        for name in ("name", "edges", "reference_tasks", "run_config", "storage", "schedule"):
            assert again[name] == without_version(mine)[name]
        assert [item["slug"] for item in again["tasks"]] == [item["slug"] for item in mine["tasks"]]


def test_results_are_read_by_both(old):
    for made in (
        results.LocalResult("/d", validate_dir=False, location="x"),
        results.PrefectResult(location='{"a": 1}'),
        results.S3Result("b", location="k"),
        results.GCSResult("b", location="k"),
        results.AzureResult("c", location="k"),
    ):
        written = result_to_dict(made)
        theirs = old.get(f"through(StateResultSchema, {json.dumps(written)!r})")
        assert without_version(theirs) == without_version(written)
        assert result_to_dict(result_from_dict(theirs)) == written


STATES = [
    *(
        getattr(state, name)("said", context={"tags": ["a"]})
        for name in ("Pending", "Running", "Cancelling", "Finished")
    ),
    *(getattr(state, name)("said", result=1) for name in ("Success", "Skipped", "Failed", "TimedOut", "TriggerFailed")),
    *(getattr(state, name)("said") for name in ("ValidationFailed", "Cancelled")),
    *(getattr(state, name)("said", start_time=NEW_YORK) for name in ("Scheduled", "Resume", "Paused")),
    state.Paused("for ever", start_time=None),
    state.Retrying(start_time=NEW_YORK, run_count=3),
    state.Looped(loop_count=4),
    state.Mapped("mapped", n_map_states=2),
    state.Cached("c", cached_parameters={"a": 1}, cached_result_expiration=NEW_YORK, hashed_inputs={"x": "h"}),
    state.Submitted(state=state.Scheduled(start_time=NEW_YORK)),
    state.Queued(state=state.Pending("inner"), start_time=NEW_YORK),
    state.ClientFailed(state=state.Failed("inner")),
    state.Success(result=results.S3Result("b", value=1, location="k")),
]


@pytest.mark.parametrize("number", range(len(STATES)), ids=[type(one).__name__ for one in STATES])
def test_states_are_read_by_both(old, number):
    """§6.3: also in the moments, which keep their offsets."""
    written = state_to_dict(STATES[number])
    theirs = old.get(f"through(StateSchema, {json.dumps(written)!r})")
    assert without_version(theirs) == without_version(written)
    assert without_version(state_to_dict(state_from_dict(theirs))) == without_version(written)
