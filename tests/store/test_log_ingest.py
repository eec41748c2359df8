"""write_run_logs and the partitions of the log."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from seeds import seed, stranger

from flowstead_server.db import Database
from flowstead_server.domain.errors import BadInputError, ForeignKeyViolationError, StaleWriteError
from flowstead_server.orchestration.logs import MAX_MESSAGE_CHARACTERS, ensure_log_partitions, write_run_logs
from flowstead_server.orchestration.queue import ClaimFlowRuns, claim_flow_runs


async def lines_of(database: Database) -> list[dict[str, Any]]:
    return [dict(row) for row in await database.fetch("select * from log order by seq")]


async def test_lines_are_stored_in_order_with_what_they_lack(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    await write_run_logs(database, seeded.caller, [])
    await write_run_logs(
        database,
        seeded.caller,
        [
            {
                "flow_run_id": run_id,
                "message": "a",
                "timestamp": moment,
                "level": "Level 15",
                "name": "n",
                "info": {"x": 1},
            },
            {"flow_run_id": run_id, "task_run_id": task_run_id, "message": "b", "timestamp": "2030-01-01T01:00:00"},
            {"flow_run_id": run_id},
        ],
    )
    first, second, third = await lines_of(database)
    assert (first["message"], first["level"], first["name"], first["timestamp"]) == ("a", "Level 15", "n", moment)
    assert orjson.loads(first["info"]) == {"x": 1}
    assert (second["task_run_id"], second["timestamp"]) == (task_run_id, moment + timedelta(hours=1))
    assert (third["level"], third["message"], third["info"]) == ("INFO", None, None)
    assert third["timestamp"] == third["created"]
    assert {line["tenant_id"] for line in (first, second, third)} == {seeded.caller.tenant_id}


async def test_one_unknown_run_refuses_the_batch(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    good = {"flow_run_id": run_id, "message": "good"}
    other = await stranger(database)
    for caller, bad in (
        (seeded.caller, {"flow_run_id": uuid4()}),
        (seeded.caller, {"flow_run_id": run_id, "task_run_id": uuid4()}),
        (other, {"flow_run_id": run_id}),
        (other, {"flow_run_id": run_id, "task_run_id": task_run_id}),
    ):
        with pytest.raises(ForeignKeyViolationError) as raised:
            await write_run_logs(database, caller, [good, bad])
        assert raised.value.message == "Foreign key violation."
    assert await lines_of(database) == []


async def test_lines_of_a_claim_that_ends_while_they_wait_are_refused(database: Database) -> None:
    """The lines arrive while the run is being given to somebody else; they would stand behind what that one writes."""
    seeded = await seed(database)
    run_id = await seeded.run()
    agent_id = await seeded.agent()
    claims = await claim_flow_runs(database, seeded.caller, ClaimFlowRuns(agent_id))
    caller = replace(seeded.caller, claim_token=claims.flow_runs[0].claim_token)
    lines = [{"flow_run_id": run_id, "message": "from the past"}]
    batch_id = uuid4()
    async with database.transaction() as other:
        await other.fetch("select pg_advisory_xact_lock(hashtextextended($1::text, 0))", str(run_id))
        await other.execute("update flow_run set claim_token = null where id = $1", run_id)
        late = asyncio.create_task(write_run_logs(database, caller, lines, batch_id))
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        async with asyncio.timeout(20):
            while await other.fetch_value(waiting) == 0:  # noqa: ASYNC110 - a lock that is waited for gives no signal
                await asyncio.sleep(0.005)
    with pytest.raises(StaleWriteError):
        await late
    assert await lines_of(database) == []
    assert await database.fetch("select from log_batch") == []


async def test_odd_text_is_stored(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    texts = ["", "ü 🦊", "a\0b\0\0c", "\\u0000 is no NUL", "\\\0", "line\nbreak", "'; drop table log; --"]
    lines = [{"flow_run_id": run_id, "message": text, "info": {"k\0": "\0"}} for text in texts]
    await write_run_logs(database, seeded.caller, lines)
    assert [line["message"] for line in await lines_of(database)] == [text.replace("\0", "\ufffd") for text in texts]


async def test_oversize_messages_are_cut_and_marked(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await write_run_logs(
        database, seeded.caller, [{"flow_run_id": run_id, "message": "x" * (MAX_MESSAGE_CHARACTERS + 5)}]
    )
    (line,) = await lines_of(database)
    assert line["message"].endswith("x… (5 characters cut)")


@pytest.mark.parametrize("line", [{"timestamp": "soon"}, {"info": {1, 2}}, {"message": "\ud800"}])
async def test_unusable_lines_are_explained(database: Database, line: dict[str, Any]) -> None:
    seeded = await seed(database)
    with pytest.raises(BadInputError):
        await write_run_logs(database, seeded.caller, [{"flow_run_id": await seeded.run(), **line}])


async def test_partitions_are_made_once_by_any_number_of_servers(database: Database) -> None:
    made = await asyncio.gather(*(ensure_log_partitions(database) for _ in range(4)))
    assert sorted(made) == [0, 0, 0, 8]
    assert await ensure_log_partitions(database, 9) == 2
    names = await database.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'log'::regclass"
    )
    today = (await database.fetch_value("select now()")).astimezone(UTC)
    assert f"log_p{today:%Y%m%d}" in {row["name"] for row in names}


async def test_lines_of_the_default_partition_move_to_their_day(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await write_run_logs(database, seeded.caller, [{"flow_run_id": run_id, "message": "early"}])
    assert await database.fetch_value("select count(*) from log_default") == 1
    await ensure_log_partitions(database)
    await write_run_logs(database, seeded.caller, [{"flow_run_id": run_id, "message": "late"}])
    assert await database.fetch_value("select count(*) from log_default") == 0
    assert [line["message"] for line in await lines_of(database)] == ["early", "late"]
