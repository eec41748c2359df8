"""Reading serialized flows."""

import base64
import gzip
from typing import Any

import orjson
import pytest

from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.flows import MAX_FLOW_BYTES, decompress, edge_columns, parse_flow, task_columns


def compressed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def test_compressed_flows_round_trip() -> None:
    flow = {"name": "ü", "tasks": [{"slug": str(n)} for n in range(1000)]}
    assert decompress(compressed(orjson.dumps(flow))) == flow


@pytest.mark.parametrize(
    "text", ["", "no base64", "aGVsbG8=", compressed(b"no json"), compressed(b"[1]"), compressed(b"{}")[:-20], "é"]
)
def test_what_cannot_be_unpacked_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="Unable to decompress serialized flow"):
        decompress(text)


def test_bombs_are_not_unpacked() -> None:
    bomb = compressed(b'{"name": "' + b" " * (MAX_FLOW_BYTES + 1) + b'"}')
    with pytest.raises(BadInputError, match="larger than"):
        decompress(bomb)


def test_members_may_be_missing() -> None:
    flow = parse_flow({"name": "x"})
    assert (flow.tasks, flow.edges, flow.parameters, flow.storage, flow.core_version) == ([], [], "[]", None, None)


@pytest.mark.parametrize("version", ["0.6.1", "1.4.1", "0+unknown", "0.0.0+dirty", "nonsense", None, "2"])
def test_versions_that_are_accepted(version: str | None) -> None:
    parse_flow({"name": "x", "__version__": version})


@pytest.mark.parametrize("version", ["0.6.0", "0.5.4+3.gabc", "0.1"])
def test_old_versions_are_refused(version: str) -> None:
    with pytest.raises(BadInputError) as raised:
        parse_flow({"name": "x", "__version__": version})
    assert raised.value.message == (
        "Prefect backends require new flows to be built with Prefect 0.6.1+, but this flow was built with "
        f"Prefect {version}."
    )


@pytest.mark.parametrize(
    "flow",
    [
        None,
        [],
        "x",
        {},
        {"name": ""},
        {"name": 5},
        {"name": "x", "tasks": {}},
        {"name": "x", "storage": "Local"},
        {"name": "x", "run_config": []},
        {"name": "x", "__version__": 1},
        {"name": "x\0"},
        {"name": "x" * 1001},
    ],
)
def test_unusable_flows_are_explained(flow: Any) -> None:
    with pytest.raises(BadInputError):
        parse_flow(flow)


def test_triggers_and_tasks_of_edges_come_in_two_forms() -> None:
    tasks = task_columns([{"slug": "a", "trigger": "prefect.triggers.any"}, {"slug": "b", "trigger": {"fn": "f"}}])
    assert [task["trigger"] for task in tasks] == ["prefect.triggers.any", "f"]
    edges = edge_columns([{"upstream_task": "a", "downstream_task": {"slug": "b"}, "key": "k", "mapped": True}])
    assert edges == [{"upstream": "a", "downstream": "b", "key": "k", "mapped": True}]


@pytest.mark.parametrize(
    "tasks", [None, {}, [5], [{}], [{"slug": ""}], [{"slug": "a", "max_retries": -1}], [{"slug": "a" * 1001}]]
)
def test_unusable_tasks_are_explained(tasks: Any) -> None:
    with pytest.raises(BadInputError):
        task_columns(tasks)


@pytest.mark.parametrize("retry_delay", [-1, "soon", 10**12])
def test_unusable_delays_are_explained(retry_delay: Any) -> None:
    with pytest.raises(BadInputError, match="retry_delay"):
        task_columns([{"slug": "a", "retry_delay": retry_delay}])


@pytest.mark.parametrize(
    "edges", [None, {}, [5], [{"upstream_task": "a"}], [{"upstream_task": {}, "downstream_task": "b"}]]
)
def test_unusable_edges_are_explained(edges: Any) -> None:
    with pytest.raises(BadInputError):
        edge_columns(edges)
