"""`auth` and `kv` against a real server (§11.4, §11.5)."""

import io
import json
import re
import tomllib

import pytest


@pytest.fixture
def key(prefect, request):
    """A new API key."""
    return prefect("auth", "create-key", "--name", request.node.name, "--quiet").stdout.strip()


def remembered(prefect):
    return tomllib.loads((prefect.folder / "home" / "auth.toml").read_text())[
        prefect.url.partition("//")[2].replace(":", "-")
    ]


def test_logging_in_and_out(prefect, key, monkeypatch):
    assert "You are not logged in." in prefect("auth", "status").stdout
    done = prefect("auth", "login", "--key", key).stdout
    tenant_id = remembered(prefect)["tenant_id"]
    assert re.fullmatch(rf"Logged in to tenant '.+' \(.+\) at {prefect.url}\n", done)
    assert remembered(prefect)["api_key"] == key
    status = prefect("auth", "status").stdout
    assert status.splitlines() == [
        f"You are connecting to {prefect.url}",
        "You are authenticating with an API key that `prefect auth login` remembered",
        f"You are logged in to tenant {tenant_id}",
    ]
    # Every command uses the key from then on.
    assert prefect("get", "projects", "-n", "none").stdout.startswith("NAME")
    configured = {"PREFECT__CLOUD__API_KEY": key}
    for command in (["login", "-k", key], ["logout"]):
        assert "Your API key is in the settings" in prefect("auth", *command, code=1, **configured).stderr
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "Aborted!" in prefect("auth", "logout", code=1).stderr
    assert remembered(prefect)["api_key"] == key
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert f"Logged out of {prefect.url}\n" in prefect("auth", "logout").stdout
    assert remembered(prefect) == {}
    assert prefect("auth", "logout", code=1).stderr == f"You are not logged in to {prefect.url}.\n"
    assert prefect("auth", "login", code=1).stderr == "You must supply an API key!\n"


def test_the_status_says_what_does_not_work(prefect):
    # Port 9 is "discard": nothing listens there.
    settings = {"PREFECT__CLOUD__API": "http://127.0.0.1:9", "PREFECT__CLOUD__API_KEY": "x"}
    done = prefect("auth", "status", **settings)
    assert "Your authentication is not working: Cannot reach the API at http://127.0.0.1:9 (" in done.stdout


def test_tenants_are_listed_and_switched(prefect, key):
    prefect("auth", "login", "--key", key)
    (tenant,) = [row for row in json.loads(prefect("auth", "list-tenants", "-o", "json").stdout) if row["active"]]
    row = next(line for line in prefect("auth", "list-tenants").stdout.splitlines() if tenant["id"] in line)
    assert row.endswith("*")
    prefect("auth", "switch-tenants", "--default")
    assert "tenant_id" not in remembered(prefect)
    assert prefect("auth", "switch-tenants", "--slug", tenant["slug"]).stdout == f"Tenant switched to {tenant['id']}\n"
    assert remembered(prefect) == {"api_key": key, "tenant_id": tenant["id"]}
    prefect("auth", "switch-tenants", "--id", tenant["id"].upper())
    assert "No tenant found with the slug 'nope'" in prefect("auth", "switch-tenants", "-s", "nope", code=1).stderr
    for options in ([], ["--default", "--slug", tenant["slug"]]):
        assert prefect("auth", "switch-tenants", *options, code=1).stderr.startswith("Give the tenant to switch to")
    settings = {"PREFECT__CLOUD__TENANT_ID": tenant["id"]}
    assert "Your tenant is in the settings" in prefect("auth", "switch-tenants", "-d", code=1, **settings).stderr


def test_keys_are_made_listed_and_revoked(prefect):
    made = prefect("auth", "create-key", "-n", "for 🚀", "--expire", "2099-01-02T03:04:05Z").stdout
    key = re.search(r"Successfully created key: (\S+)\n", made)[1]
    assert "only time" in made
    listed = prefect("auth", "list-keys").stdout
    assert key not in listed
    key_id = re.search(r"for 🚀 +(\S+) +2099-01-02 03:04:05", listed)[1]
    rows = json.loads(prefect("auth", "list-keys", "-o", "json").stdout)
    assert {"name": "for 🚀", "id": key_id, "expires_at": "2099-01-02T03:04:05+00:00"} in rows
    assert prefect("auth", "revoke-key", "--id", key_id).stdout == "Key successfully revoked!\n"
    assert key_id not in prefect("auth", "list-keys").stdout
    for unknown in (key_id, "nope"):
        assert prefect("auth", "revoke-key", "-i", unknown, code=1).stderr.startswith(
            f"Unable to revoke key '{unknown}'"
        )
    assert "in the past" in prefect("auth", "create-key", "-n", "x", "-e", "2001-01-01", code=1).stderr
    assert "'soonish' is no time" in prefect("auth", "create-key", "-n", "x", "-e", "soonish", code=1).stderr


def test_values_by_key(prefect):
    assert prefect("kv", "set", "a key 🚀", "1").stdout == "Key value pair set successfully\n"
    # A value is always text.
    assert prefect("kv", "get", "a key 🚀").stdout == "Key 'a key 🚀' has value '1'\n"
    assert "a key 🚀" in prefect("kv", "list").stdout.splitlines()
    assert "a key 🚀" in json.loads(prefect("kv", "list", "--output", "json").stdout)
    assert "10000" in prefect("kv", "set", "large", "x" * 10_001, code=1).stderr
    assert prefect("kv", "delete", "a key 🚀").stdout == "Key 'a key 🚀' has been deleted\n"
    assert prefect("kv", "get", "a key 🚀", code=1).stderr.startswith("Error retrieving value for key 'a key 🚀'")
    assert prefect("kv", "delete", "a key 🚀", code=1).stderr.startswith(
        "An error occurred deleting the key 'a key 🚀'"
    )


def test_there_may_be_no_keys(prefect):
    for pair in prefect.graphql("{ key_value { id } }")["key_value"]:
        prefect.graphql(
            "mutation($id: UUID!) { delete_key_value(input: {key_value_id: $id}) { success } }", id=pair["id"]
        )
    assert prefect("kv", "list").stdout == "No keys found\n"
    assert prefect("kv", "list", "-o", "yaml").stdout == "[]\n"
