"""§3, `prefect.context`: attribute and item access, overlays, threads."""

import contextlib
import threading

import cloudpickle
import pytest

import prefect
from prefect.utilities.collections import (
    CompoundKey,
    DotDict,
    as_nested_dict,
    dict_to_flatdict,
    flatdict_to_dict,
    flatten_seq,
    merge_dicts,
)


def test_access():
    with prefect.context(a=1):
        assert prefect.context.a == prefect.context["a"] == prefect.context.get("a") == 1
        assert "a" in prefect.context
    assert prefect.context.get("a", 5) == 5
    with pytest.raises(AttributeError):
        _ = prefect.context.a
    with pytest.raises(KeyError):
        _ = prefect.context["a"]
    assert repr(prefect.context) == "<Context>"


def test_overlays_nest_and_restore_exactly_also_after_errors():
    before = dict(prefect.context)
    with prefect.context({"a": 1}, b=2) as ctx:
        with contextlib.suppress(RuntimeError), prefect.context(a=3):
            prefect.context.c = 4
            raise RuntimeError
        assert (ctx.a, ctx.b) == (1, 2)
        assert "c" not in ctx
    assert dict(prefect.context) == before


def test_config_is_merged_into_the_current_one():
    level = prefect.context.config.logging.level
    with prefect.context(config={"flows": {"checkpointing": True}}):
        assert prefect.context.config.flows.checkpointing is True
        assert prefect.context.config.logging.level == level
    assert prefect.context.config.flows.checkpointing is False
    assert prefect.config.flows.checkpointing is False


def test_a_new_thread_has_settings_but_no_run():
    found = {}

    def look():
        found.update(prefect.context)

    with prefect.context(task_name="t"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found["config"] is prefect.config
    assert "task_name" not in found
    assert "logger" not in found


def test_it_does_not_pickle():
    with pytest.raises(TypeError, match=r"^Pickling context objects is explicitly not supported\."):
        cloudpickle.dumps(prefect.context)


def test_dotdict():
    d = DotDict({"a": {"b": 1}}, c=2)
    d.e = 3
    del d["c"]
    assert d == {"a": {"b": 1}, "e": 3}
    assert sorted(d) == ["a", "e"]
    assert d.copy() == d
    with pytest.raises(ValueError, match='"items"'):
        d.items = 5
    with pytest.raises(ValueError, match='"update"'):
        DotDict(update=1)
    assert as_nested_dict({"a": [{"b": 1}]}).a[0].b == 1
    assert as_nested_dict({"a": [{"b": 1}]}).to_dict() == {"a": [{"b": 1}]}


def test_nested_mappings():
    nested = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    flat = dict_to_flatdict(nested)
    assert flat == {CompoundKey(["a", "b"]): 1, CompoundKey(["a", "c", "d"]): 2, CompoundKey(["e"]): 3}
    assert flatdict_to_dict(flat) == nested
    one = {"a": {"b": 1}}
    assert merge_dicts(one, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert one == {"a": {"b": 1}}
    assert list(flatten_seq([1, [2, (3, [4])], "ab"])) == [1, 2, 3, 4, "ab"]
