"""Servers over real databases: one for each test, or one for a module."""

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from api_world import Api, running_api

from flowstead_server.db import Database
from flowstead_server.db.embedded import EmbeddedPostgres


@pytest.fixture
async def own_api(database: Database) -> AsyncIterator[Api]:
    """A server over a database of the test's own."""
    async with running_api(database) as api:
        yield api


@pytest.fixture(scope="module")
async def shared_api(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[Api]:
    """A server for all tests of a module, which must not mind what the others store."""
    name = f"shared_{os.getpid()}_{uuid4().hex[:8]}"
    async with await Database.connect(postgres.dsn_of("postgres")) as admin:
        await admin.execute(f'create database "{name}" template "{template_database}" strategy file_copy')
        try:
            async with await Database.connect(postgres.dsn_of(name)) as database, running_api(database) as api:
                yield api
        finally:
            await admin.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def api(own_api: Api) -> Api:
    """The server that tests ask; modules whose tests do not disturb each other make it the shared one."""
    return own_api
