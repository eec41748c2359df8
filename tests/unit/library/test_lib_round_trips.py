"""What is written as JSON (or bytes) comes back the same: library-api §15.4, §28, wire-protocol §6.

What these tests give to the library is made up by hypothesis.
"""

import json
from datetime import timedelta

import pendulum
import pytest
from dateutil import rrule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect import Flow, Parameter, Task, triggers
from prefect.engine import cache_validators, results, state
from prefect.engine.result import NoResult, Result
from prefect.engine.serializers import CompressedSerializer, DateTimeSerializer, JSONSerializer, PickleSerializer
from prefect.run_configs import DockerRun, ECSRun, KubernetesRun, LocalRun, UniversalRun, VertexRun
from prefect.schedules import Schedule, adjustments, filters
from prefect.schedules.clocks import CronClock, DatesClock, IntervalClock, RRuleClock
from prefect.serialization.flow import flow_from_dict, flow_to_dict
from prefect.serialization.result import result_from_dict, result_to_dict
from prefect.serialization.run_config import run_config_from_dict, run_config_to_dict
from prefect.serialization.schedule import schedule_from_dict, schedule_to_dict
from prefect.serialization.state import state_from_dict, state_to_dict
from prefect.serialization.storage import storage_from_dict, storage_to_dict
from prefect.storage import (
    GCS,
    S3,
    Azure,
    Bitbucket,
    CodeCommit,
    Docker,
    Git,
    GitHub,
    GitLab,
    Local,
    Module,
    Webhook,
)
from prefect.utilities.graphql import compress, decompress

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def over_the_wire(data, **unknown):
    """Return data as another process reads it, which may come from a version that says more."""
    return {**json.loads(json.dumps(data, allow_nan=False)), **unknown}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
maybe = st.none() | words
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, values, max_size=3)
labels = st.none() | st.sets(words, max_size=3)
environments = st.none() | st.dictionaries(words, texts, max_size=2)
ZONES = ("UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe")
moments = st.builds(
    lambda minutes, zone: pendulum.datetime(2020, 1, 1, tz="UTC").add(minutes=minutes).in_timezone(zone),
    st.integers(0, 5 * 366 * 1440),
    st.sampled_from(ZONES),
)

# -- run configs (§20, §28.4)

run_configs = st.one_of(
    st.builds(UniversalRun, environments, labels),
    st.builds(LocalRun, env=environments, working_dir=maybe, labels=labels),
    st.builds(
        DockerRun,
        image=maybe,
        env=environments,
        ports=st.none() | st.lists(st.integers(1, 65535), max_size=2),
        host_config=st.none() | objects,
    ),
    st.builds(
        KubernetesRun,
        job_template=st.none() | objects,
        image=maybe,
        cpu_limit=st.none() | st.integers(1, 9) | st.floats(0.5, 8),
        memory_request=maybe,
        image_pull_secrets=st.none() | st.lists(words, max_size=2),
        image_pull_policy=st.sampled_from([None, "Always", "IfNotPresent", "Never"]),
        labels=labels,
    ),
    st.builds(
        ECSRun,
        task_definition=st.none() | objects,
        cpu=st.none() | st.integers(1, 4096),
        task_role_arn=maybe,
        run_task_kwargs=st.none() | objects,
    ),
    st.builds(VertexRun, image=maybe, scheduling=st.none() | objects, network=maybe, labels=labels),
)


@few
@given(run_configs)
def test_run_configs(run_config):
    data = over_the_wire(run_config_to_dict(run_config))
    again = run_config_from_dict({**data, "of_a_later_version": 1})
    assert again == run_config
    assert type(again) is type(run_config)
    assert over_the_wire(run_config_to_dict(again)) == data
    assert data["labels"] == sorted(run_config.labels)


# -- storage (§21, §28.4)

names = st.lists(words, max_size=2)
storages = st.one_of(
    st.builds(Local, words, validate=st.just(False), path=maybe, stored_as_script=st.booleans(), secrets=names),
    st.builds(Module, words, secrets=names),
    st.builds(
        Git,
        words,
        repo=words,
        repo_host=words,
        flow_name=maybe,
        git_token_secret_name=maybe,
        git_token_username=maybe,
        git_clone_url_secret_name=maybe,
        branch_name=maybe,
        clone_depth=st.integers(1, 5),
        use_ssh=st.booleans(),
        format_access_token=st.booleans(),
    ),
    st.builds(GitHub, words, words, ref=maybe, access_token_secret=maybe, base_url=maybe, secrets=names),
    st.builds(GitLab, words, host=maybe, path=maybe, ref=maybe, access_token_secret=maybe),
    st.builds(Bitbucket, words, words, workspace=maybe, path=maybe, ref=maybe, cloud_username_secret=maybe),
    st.builds(CodeCommit, words, path=maybe, commit=maybe, client_options=st.none() | objects),
    st.builds(S3, words, key=maybe, stored_as_script=st.booleans(), client_options=st.none() | objects),
    st.builds(GCS, words, key=maybe, project=maybe, stored_as_script=st.booleans()),
    st.builds(Azure, words, connection_string_secret=maybe, blob_name=maybe, stored_as_script=st.booleans()),
    st.builds(
        Webhook, objects, st.sampled_from(["GET", "POST"]), objects, st.just("PUT"), stored_as_script=st.booleans()
    ),
    st.builds(
        Docker, registry_url=maybe, image_name=maybe, image_tag=maybe, path=maybe, stored_as_script=st.booleans()
    ),
)


@few
@given(storages, st.dictionaries(texts, words, max_size=2))
def test_storages(storage, flows):
    storage.flows = flows
    data = over_the_wire(storage_to_dict(storage))
    again = storage_from_dict({**data, "of_a_later_version": 1})
    assert type(again) is type(storage)
    assert over_the_wire(storage_to_dict(again)) == data
    assert again.stored_as_script == storage.stored_as_script or "stored_as_script" not in storage.fields
    assert [name in again for name in flows] == [True] * len(flows)
    mine, theirs = storage.default_result(), again.default_result()
    assert (mine is None) == (theirs is None)
    assert result_to_dict(mine)["type"] == result_to_dict(theirs)["type"]


# -- results and states (§15, §28.2)

known_results = st.one_of(
    st.just(NoResult),
    st.builds(Result, values, location=maybe),
    st.builds(results.PrefectResult, value=values, location=maybe),
    st.builds(results.ConstantResult, value=values),
    st.builds(results.LocalResult, words, validate_dir=st.just(False), value=values, location=maybe),
    st.builds(results.S3Result, words, value=values, location=maybe),
    st.builds(results.GCSResult, words, value=values, location=maybe),
    st.builds(results.AzureResult, words, value=values, location=maybe),
)


@few
@given(known_results)
def test_results(result):
    data = over_the_wire(result_to_dict(result))
    again = result_from_dict({**data, "of_a_later_version": 1})
    assert type(again) is type(result)
    assert result_to_dict(again) == data
    assert again.value is None, "values never travel"
    assert again.location == result.location


def test_results_of_unknown_classes():
    class Mine(Result):
        pass

    data = result_to_dict(Mine(location="x"))
    assert (data["type"], data["location"]) == ("CustomResult", "x")
    for kind in ("CustomResult", "SecretResult", "OfALaterVersion"):
        assert result_from_dict({**data, "type": kind}) == Result(location="x")
    assert result_from_dict(None) is NoResult


common = {"message": st.none() | texts, "result": known_results, "context": objects}
inner = st.builds(state.Scheduled, start_time=moments)
states = st.one_of(
    *(
        st.builds(getattr(state, name), **common)
        for name in ("Pending", "Running", "Cancelling", "Finished", "Success", "Skipped", "Failed", "TimedOut")
    ),
    *(st.builds(getattr(state, name), **common) for name in ("TriggerFailed", "ValidationFailed", "Cancelled")),
    *(st.builds(getattr(state, name), start_time=moments, **common) for name in ("Scheduled", "Resume", "Paused")),
    st.builds(state.Paused, start_time=st.none(), **common),
    st.builds(state.Retrying, start_time=moments, run_count=st.integers(1, 99), **common),
    st.builds(state.Looped, loop_count=st.integers(1, 99), **common),
    st.builds(state.Mapped, n_map_states=st.integers(0, 9), message=texts),
    st.builds(
        state.Cached,
        cached_parameters=st.none() | objects,
        cached_result_expiration=st.none() | moments,
        hashed_inputs=st.none() | st.dictionaries(words, texts, max_size=2),
        **common,
    ),
    st.builds(state.Submitted, state=st.none() | inner, message=texts),
    st.builds(state.ClientFailed, state=st.none() | inner),
    st.builds(state.Queued, state=inner, start_time=moments),
)


@few
@given(states)
def test_states(one):
    data = over_the_wire(state_to_dict(one))
    again = state_from_dict({**data, "of_a_later_version": 1})
    assert type(again) is type(one)
    assert over_the_wire(state_to_dict(again)) == data
    assert again.message == one.message
    for name in ("start_time", "run_count", "loop_count", "cached_result_expiration", "hashed_inputs"):
        assert getattr(again, name, None) == getattr(one, name, None)
    if isinstance(one, state.Mapped):
        assert again.map_states == [None] * one.n_map_states
    assert state_from_dict({"type": data["type"]}).message is None


# -- schedules (§19, §28.3)

own = {"parameter_defaults": st.none() | objects, "labels": st.none() | st.lists(words, max_size=2)}
dates = {"start_date": st.none() | moments, "end_date": st.none() | moments.map(lambda moment: moment.add(years=9))}
clocks = st.one_of(
    st.builds(IntervalClock, st.integers(1, 50_000).map(lambda n: timedelta(minutes=n)), **dates, **own),
    st.builds(
        CronClock,
        st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 9 1,15 * 1-5", "5 4 * 2 *"]),
        day_or=st.none() | st.booleans(),
        **dates,
        **own,
    ),
    st.builds(DatesClock, st.lists(moments, min_size=1, max_size=4), **own),
    st.builds(
        lambda start, freq, count, **kw: RRuleClock(rrule.rrule(freq, dtstart=start, count=count), **kw),
        moments,
        st.sampled_from([rrule.HOURLY, rrule.DAILY, rrule.WEEKLY, rrule.MONTHLY]),
        st.integers(1, 40),
        **own,
    ),
)
times = st.times().map(lambda moment: moment.replace(microsecond=0, fold=0))
checks = st.one_of(
    st.sampled_from([filters.is_weekday, filters.is_weekend, filters.is_month_start, filters.is_month_end]),
    st.builds(filters.is_day_of_week, st.integers(0, 6)),
    st.builds(filters.on_date, st.integers(1, 12), st.integers(1, 28)),
    st.builds(filters.on_datetime, moments),
    st.builds(filters.at_time, times),
    st.builds(filters.between_times, times, times),
    st.builds(filters.between_datetimes, moments, moments),
    st.builds(filters.between_dates, st.integers(1, 12), st.integers(1, 28), st.integers(1, 12), st.integers(1, 28)),
)
schedules = st.builds(
    Schedule,
    st.lists(clocks, min_size=1, max_size=2),
    filters=st.lists(checks, max_size=1),
    or_filters=st.lists(checks, max_size=2),
    not_filters=st.lists(checks, max_size=1),
    adjustments=st.lists(
        st.just(adjustments.next_weekday)
        | st.builds(adjustments.add, st.integers(0, 9000).map(lambda n: timedelta(minutes=n))),
        max_size=2,
    ),
)


def instants(schedule, after):
    """Return the first events, among the first candidates only: what a filter never lets pass is searched for long."""
    return [(moment, moment.utcoffset()) for moment in schedule.next(5, after=after)]


@few
@given(schedules, moments)
def test_schedules(schedule, after):
    data = over_the_wire(schedule_to_dict(schedule))
    again = schedule_from_dict({**data, "of_a_later_version": 1})
    assert over_the_wire(schedule_to_dict(again)) == data
    for mine, theirs in zip(schedule.clocks, again.clocks, strict=True):
        after_both = [list(zip(range(5), clock.events(after), strict=False)) for clock in (mine, theirs)]
        assert after_both[0] == after_both[1]
    for name in ("filters", "or_filters", "not_filters"):
        for mine, theirs in zip(getattr(schedule, name), getattr(again, name), strict=True):
            assert mine(after) == theirs(after)
    for mine, theirs in zip(schedule.adjustments, again.adjustments, strict=True):
        assert mine(after) == theirs(after)


# -- flows, tasks, edges (§28.1)

task_options = st.fixed_dictionaries(
    {
        "name": words,
        "tags": st.sets(words, max_size=2),
        "timeout": st.none() | st.integers(1, 3600),
        "trigger": st.sampled_from(
            [triggers.all_successful, triggers.any_failed, triggers.manual_only, triggers.some_failed(at_least=1)]
        ),
        "skip_on_upstream_skip": st.booleans(),
        "cache_for": st.none() | st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
        "cache_key": maybe,
    }
)


@st.composite
def flows(draw):
    """A flow with some tasks, parameters and edges between them, that has no cycle."""
    flow = Flow(draw(texts.filter(bool)))
    defaults = st.sampled_from([{}, {"required": False, "default": [1, "x"]}])
    members = [Parameter(name, **draw(defaults)) for name in draw(st.lists(words, unique=True, max_size=2))]
    for options in draw(st.lists(task_options, min_size=1, max_size=5)):
        if options["cache_for"] is not None:
            options["cache_validator"] = draw(
                st.sampled_from([cache_validators.all_inputs, cache_validators.partial_inputs_only(["a"])])
            )
        retries = draw(st.integers(0, 2))
        if retries:
            options |= {"max_retries": retries, "retry_delay": timedelta(seconds=draw(st.integers(0, 99)))}
        members.append(Task(**options))
    for member in members:
        flow.add_task(member)
    for down, task in enumerate(members):
        if isinstance(task, Parameter):
            continue
        for up in draw(st.sets(st.integers(0, down - 1), max_size=2)) if down else ():
            mapped = draw(st.booleans())
            flow.add_edge(members[up], task, mapped=mapped, flattened=mapped and draw(st.booleans()))
    flow.set_reference_tasks(draw(st.lists(st.sampled_from(members), max_size=2, unique=True)))
    flow.run_config = draw(st.none() | run_configs)
    flow.storage = draw(st.none() | storages)
    flow.schedule = draw(st.none() | schedules)
    return flow


@few
@given(flows())
def test_flows(flow):
    data = over_the_wire(flow.serialize())
    again = over_the_wire(flow_to_dict(flow_from_dict({**data, "of_a_later_version": 1})))
    for item in (*data["tasks"], *again["tasks"]):
        # A task that is only described has no class and no annotations.
        del item["type"], item["outputs"]
    assert again == data
    assert decompress(compress(data)) == data
    assert [item["slug"] for item in data["tasks"]] == sorted(flow.slugs.values())
    keys = [(e["upstream_task"]["slug"], e["downstream_task"]["slug"], e["key"] or "") for e in data["edges"]]
    assert keys == sorted(keys)
    assert len(keys) == len(flow.edges)
    assert flow.serialized_hash() == flow.serialized_hash()


# -- serializers (§15.4)


@few
@given(values)
def test_serializers_of_any_value(value):
    for serializer in (PickleSerializer(), JSONSerializer()):
        assert serializer.deserialize(serializer.serialize(value)) == value
        for packing in ("bz2", "gzip", "lzma", "zlib"):
            packed = CompressedSerializer(serializer, packing)
            assert packed.deserialize(packed.serialize(value)) == value


@few
@given(moments)
def test_date_and_time(moment):
    serializer = DateTimeSerializer()
    again = serializer.deserialize(serializer.serialize(moment))
    assert isinstance(again, pendulum.DateTime)
    assert (again, again.utcoffset()) == (moment, moment.utcoffset())
    assert serializer.deserialize(serializer.serialize(moment.isoformat())) == moment
    assert serializer.deserialize(serializer.serialize(moment.in_timezone("UTC").naive())) == moment


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        ("csv", {"index": False}, {"dtype": {"b": str}}),
        ("json", {"orient": "records"}, {"dtype": {"b": str}}),
        ("pickle", {}, {}),
    ],
)
def test_data_frames(kind, written, read):
    import pandas as pd

    from prefect.engine.serializers import PandasSerializer

    frame = pd.DataFrame({"a": [1, 2], "b": ["ü", "y"]})
    serializer = PandasSerializer(kind, deserialize_kwargs=read, serialize_kwargs=written)
    again = serializer.deserialize(serializer.serialize(frame))
    assert again.to_dict() == frame.to_dict()
    packed = CompressedSerializer(serializer, "gzip")
    assert packed.deserialize(packed.serialize(frame)).to_dict() == frame.to_dict()
    with pytest.raises(ValueError, match=r"^Could not find deserialization methods for nope$"):
        PandasSerializer("nope").deserialize(b"")
    with pytest.raises(ValueError, match=r"^Could not find serialization methods for nope$"):
        PandasSerializer("nope").serialize(frame)
