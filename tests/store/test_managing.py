"""Verbs with which people manage what is stored: sizes, repetition, and many callers at once."""

import asyncio
from dataclasses import replace

import pytest
from seeds import seed, stranger

from flowstead_server.db import Database
from flowstead_server.domain.errors import FlowsteadError, NotFoundError, PayloadTooLargeError
from flowstead_server.orchestration.artifacts import CreateArtifact, create_task_run_artifact, update_task_run_artifact
from flowstead_server.orchestration.deletions import delete_flow
from flowstead_server.orchestration.key_values import secret_value, set_key_value, set_secret
from flowstead_server.orchestration.limits import update_task_tag_limit


async def test_an_artifact_of_exactly_the_limit_is_the_largest(database: Database) -> None:
    made = await seed(database)
    (task_run, _) = await made.task_run_ids(await made.run())
    fitting = CreateArtifact(task_run_id=task_run, kind="markdown", data="x" * (1_000_000 - 2))
    longer = replace(fitting, data=f"{fitting.data}x")
    artifact = await create_task_run_artifact(database, made.caller, fitting)
    for refused in (
        create_task_run_artifact(database, made.caller, longer),
        update_task_run_artifact(database, made.caller, artifact, longer.data),
    ):
        with pytest.raises(PayloadTooLargeError, match="Artifact data payload exceeds 1000000 bytes limit"):
            await refused
    assert await database.fetch_value("select count(*) from task_run_artifact") == 1


async def test_one_row_per_key_however_many_set_it_at_once(database: Database) -> None:
    caller = (await seed(database)).caller
    pairs = await asyncio.gather(*(set_key_value(database, caller, "k", n) for n in range(20)))
    limits = await asyncio.gather(*(update_task_tag_limit(database, caller, "t", n) for n in range(20)))
    assert len(set(pairs)) == len(set(limits)) == 1


async def test_secrets_of_tenants_are_apart(database: Database) -> None:
    caller, other = (await seed(database)).caller, await stranger(database)
    await set_secret(database, caller, "s", "ours")
    with pytest.raises(NotFoundError, match="No value found for the requested key"):
        await secret_value(database, other, "s")
    await set_secret(database, other, "s", "theirs")
    assert await secret_value(database, caller, "s") == '"ours"'


async def test_runs_that_are_created_while_their_flow_is_deleted_do_not_stay(database: Database) -> None:
    made = await seed(database)
    await asyncio.gather(*(made.run() for _ in range(20)))

    async def create() -> bool:
        try:
            await made.run()
        except FlowsteadError as error:
            return error.retryable
        return False

    deleted, *retryable = await asyncio.gather(
        delete_flow(database, made.caller, made.flow_id), *(create() for _ in range(20))
    )
    assert deleted
    assert not any(retryable)
    assert await database.fetch_value("select count(*) from flow_run") == 0
