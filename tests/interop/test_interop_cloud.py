"""What 1.4.1 says to a server that it takes for Prefect Cloud: API keys, secrets, key-value pairs, limits of tags."""

import re

import pytest
from interop_world import LibraryError

CLOUD = {"PREFECT__BACKEND": "cloud", "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false"}


@pytest.fixture(scope="session")
def key(interop):
    """An API key."""
    query = 'mutation { create_api_key(input: {name: "first"}) { key } }'
    return interop.graphql(query)["create_api_key"]["key"]


@pytest.fixture(scope="session")
def cloud(interop, key):
    """A Python with 1.4.1 that has the key of a cloud."""
    library = interop.library(**CLOUD, PREFECT__CLOUD__API_KEY=key)
    library.run("import prefect; from prefect import Client; client = Client()")
    return library


def test_keys_by_commands(interop, key):
    login = interop.old_cli("auth", "login", "--key", key, **CLOUD)
    assert "Logged in to Prefect Cloud tenant" in login
    assert re.search(r"default +\S+ +\S*", interop.old_cli("auth", "list-tenants", **CLOUD))
    assert "logged in to tenant" in interop.old_cli("auth", "status", **CLOUD)
    assert "Tenant switched" in interop.old_cli("auth", "switch-tenants", "--slug", "default", **CLOUD)
    made = interop.old_cli("auth", "create-key", "--name", "second 🚀", "--quiet", **CLOUD).strip()
    assert made
    assert made != key
    interop.old_cli("auth", "create-key", "--name", "third", "--expire", "2099-01-01", **CLOUD)
    listed = interop.old_cli("auth", "list-keys", **CLOUD)
    assert made not in listed
    assert "2099-01-01" in listed
    key_id = re.search(r"second 🚀 +(\S+) +NEVER", listed)[1]
    assert "Key successfully revoked!" in interop.old_cli("auth", "revoke-key", "--id", key_id, **CLOUD)
    assert "second" not in interop.old_cli("auth", "list-keys", **CLOUD)
    interop.old_cli("auth", "revoke-key", "--id", key_id, code=1, **CLOUD)


def test_key_value_pairs_by_commands(interop, key):
    env = CLOUD | {"PREFECT__CLOUD__API_KEY": key}
    assert "set successfully" in interop.old_cli("kv", "set", "a key 🚀", "ünï", **env)
    assert "has value 'ünï'" in interop.old_cli("kv", "get", "a key 🚀", **env)
    assert "a key 🚀" in interop.old_cli("kv", "list", **env)
    assert "has been deleted" in interop.old_cli("kv", "delete", "a key 🚀", **env)
    interop.old_cli("kv", "get", "a key 🚀", code=1, **env)


def test_key_value_pairs_by_the_library(cloud):
    cloud.run("from prefect.backend import set_key_value, get_key_value, delete_key, list_keys")
    value = {"number": 1.5, "list": [None, True, "ü🚀"], "text": "x" * 9000}
    first = cloud.call("set_key_value", "stored", value)
    assert cloud.call("get_key_value", "stored") == value
    assert cloud.call("set_key_value", "stored", "newer") == first
    assert cloud.call("get_key_value", "stored") == "newer"
    assert "stored" in cloud.call("list_keys")
    assert cloud.call("delete_key", "stored") is True
    with pytest.raises(LibraryError, match="No value found for key: stored"):
        cloud.call("get_key_value", "stored")
    with pytest.raises(LibraryError, match="No key stored found to delete"):
        cloud.call("delete_key", "stored")


def test_secrets(cloud):
    cloud.run("from prefect.client import Secret; from prefect.tasks.secrets import PrefectSecret")
    value = {"user": "ü", "password": ["🚀", 1]}
    cloud.call("client.set_secret", "A_SECRET", value)
    assert cloud.get("Secret('A_SECRET').exists()") is True
    assert cloud.get("Secret('A_SECRET').get()") == value
    assert cloud.get("PrefectSecret('A_SECRET').run()") == value
    assert cloud.get("Secret('NO_SECRET').exists()") is False
    with pytest.raises(LibraryError, match="KeyError"):
        cloud.get("Secret('NO_SECRET').get()")


def test_limits_of_tags(library):
    """These are sent to any backend."""
    assert library.call("client.get_task_tag_limit", "database") is None
    library.call("client.update_task_tag_limit", "database", 3)
    assert library.call("client.get_task_tag_limit", "database") == 3
    library.call("client.update_task_tag_limit", "database", 0)
    assert library.call("client.get_task_tag_limit", "database") == 0
    limit = library.get("client.graphql('{ task_tag_limit { id tag } }').data.task_tag_limit[0].id")
    library.call("client.delete_task_tag_limit", limit)
    assert library.call("client.get_task_tag_limit", "database") is None


def test_secrets_of_any_backend(interop, library):
    library.call("client.set_secret", "FROM_SERVER", "text")
    assert "FROM_SERVER" in interop.graphql("{ secret_names }")["secret_names"]


def test_a_flow_run_of_a_cloud(interop, cloud):
    """The key and the tenant that it stands for travel with every request."""
    assert cloud.get("client.tenant_id") == interop.graphql("{ tenant { id } }")["tenant"][0]["id"]
    cloud.call("client.create_project", "in the cloud")
    cloud.run("from prefect import Flow, Parameter\nwith Flow('of a cloud') as flow: Parameter('x', default=1)")
    flow_id = cloud.get("flow.register('in the cloud')")
    flow_run_id = cloud.call("client.create_flow_run", flow_id=flow_id, labels=["nobody"])
    assert cloud.call("client.cancel_flow_run", flow_run_id) == "Cancelled"
