"""One database with the compiler's world for all tests here: they only read it."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from compiler_plans import many_rows
from compiler_world import OURS, insert_world
from graphql import GraphQLError

from flowstead_server.api.context import RequestContext
from flowstead_server.api.schema import ApiSchema, api_schema
from flowstead_server.db import Database
from flowstead_server.db.embedded import EmbeddedPostgres
from flowstead_server.domain.caller import Caller
from flowstead_server.pubsub.hub import Hub


@dataclass(frozen=True)
class Asker:
    """Asks the schema as one tenant."""

    schema: ApiSchema
    database: Database
    tenant_id: str = OURS

    def context(self) -> RequestContext:
        """The context of one request of the tenant."""
        return RequestContext(self.database, Caller(UUID(self.tenant_id)), Hub(self.database.open_connection))

    async def _execute(self, text: str, variables: dict[str, Any] | None) -> Any:
        return await self.schema.execute(text, variable_values=variables, context_value=self.context())

    async def ask(self, text: str, variables: dict[str, Any] | None = None) -> Any:
        """The data of an answer without errors."""
        result = await self._execute(text, variables)
        assert not result.errors, result.errors
        return orjson.loads(orjson.dumps(result.data))

    async def fail(self, text: str, variables: dict[str, Any] | None = None) -> GraphQLError:
        """The only error of an answer without data."""
        result = await self._execute(text, variables)
        assert result.data is None
        assert len(result.errors) == 1
        return result.errors[0]

    def as_tenant(self, tenant_id: str) -> "Asker":
        """The same for another tenant."""
        return Asker(self.schema, self.database, tenant_id)


@pytest.fixture(scope="module")
async def world_dsn(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[str]:
    """The URL of a database with the whole world in it."""
    name = f"compiler_{os.getpid()}_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(postgres.dsn_of("postgres"))
    await admin.execute(f'create database "{name}" template "{template_database}"')
    await insert_world(postgres.dsn_of(name))
    yield postgres.dsn_of(name)
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


@pytest.fixture(scope="module")
async def asker(world_dsn: str) -> AsyncIterator[Asker]:
    """Asks as our tenant."""
    async with await Database.connect(world_dsn, max_connections=4) as database:
        yield Asker(api_schema(), database)


@pytest.fixture(scope="module")
async def many(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with 21,600 flow runs."""
    async with many_rows(postgres, template_database) as connection:
        yield connection
