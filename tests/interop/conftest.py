"""One server with both generations of agents for all tests of a worker; runs choose their agent by a label."""

from pathlib import Path

import pytest
from compatibility_page import named_tests
from interop_shapes import shape_of
from interop_world import FLOWS, Interop
from postgres_fixtures import _new_database


@pytest.fixture(scope="session")
def interop_dsn(postgres, template_database):
    yield from _new_database(postgres, template_database)


@pytest.fixture(scope="session")
def interop(interop_dsn):
    """The server, without agents."""
    with Interop(interop_dsn) as it:
        it.start_server()
        it.graphql('mutation { create_project(input: {name: "interop"}) { id } }')
        yield it


@pytest.fixture(scope="session")
def old_agent(interop):
    """The local agent of 1.4.1, for runs with the label `old`."""
    return interop.start_old_agent("old")


@pytest.fixture(scope="session")
def new_agent(interop):
    """Our local agent, for runs with the label `new`."""
    return interop.start_new_agent("new")


@pytest.fixture(scope="session")
def library(interop):
    """A Python with 1.4.1, in which `prefect` and `client` are there."""
    library = interop.library()
    library.run("import prefect; from prefect import Client, Flow, Parameter, task; client = Client()")
    return library


@pytest.fixture(scope="session")
def old_flows(interop, library):
    """The ids by name of the shared flows, registered by 1.4.1's library from a script, as pickles."""
    library.run(
        "import runpy\n"
        f"names = runpy.run_path({str(FLOWS / 'shared.py')!r}, run_name='shared')\n"
        "flows = [value for value in names.values() if isinstance(value, Flow)]\n"
        "ids = {flow.name: flow.register('interop', labels=['old']) for flow in flows}\n"
    )
    return library.get("ids")


@pytest.fixture(autouse=True)
def _sends_what_the_page_says(request, interop):
    """Fail a test that does not make 1.4.1 send the operations for which docs/compatibility.md names it."""
    node = request.node
    wanted = {shape for shape, tests in named_tests().items() if tests & {node.name, node.originalname}}
    before = len(interop.recorder.documents)
    yield
    seen = {shape_of(document) for document in interop.recorder.documents[before:]}
    assert wanted <= seen, f"docs/compatibility.md names this test for operations that were not sent: {wanted - seen}"


def pytest_collection_modifyitems(items):
    """Allow for the time that the first installation of 1.4.1 takes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
