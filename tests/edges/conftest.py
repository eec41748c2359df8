"""A server over a socket that all tests of a worker share; each test makes projects of its own in it."""

import pytest
from cli_world import Cli, CommandsInProcess, start_server
from engine_fixtures import api, client, create, run  # noqa: F401 - fixtures

from prefect import configuration


@pytest.fixture(scope="session")
def shared_cli(tmp_path_factory):
    """The command as a process, with a server and no agent."""
    folder = tmp_path_factory.mktemp("cli")
    server, url = start_server(folder)
    with server:
        yield Cli(folder, url)


@pytest.fixture
def prefect(shared_cli, tmp_path, monkeypatch):
    """The command in this process, which is quick: for all that is not about the process itself."""
    yield CommandsInProcess(shared_cli, tmp_path, monkeypatch)
    monkeypatch.undo()
    configuration.reload()
