"""Flows as scripts in repositories and behind addresses: library-api §21.2, §21.3, §22.

git is the real one, against repositories of this machine; the hosts are HTTP servers on real sockets.
"""

import base64
import contextlib
import http.server
import json
import subprocess
import threading

import psutil
import pytest
from http_stub import http_stub
from programs import require

import prefect
from prefect import Flow, task
from prefect.exceptions import FlowStorageError
from prefect.serialization.storage import storage_from_dict
from prefect.storage import Bitbucket, CodeCommit, Git, GitHub, GitLab, Webhook
from prefect.utilities.git import GitError, checkout
from prefect.utilities.storage import flow_from_bytes_pickle, flow_to_bytes_pickle


def script(value):
    return (
        "from prefect import Flow, task\n"
        "from neighbour_in_repository import NAME\n"
        f"with Flow(NAME) as flow:\n    task(lambda: {value!r}, name='t')()\n"
    )


def load(storage, name="stored"):
    """Load a flow the way an agent's process does, from the JSON of its storage."""
    storage.add_flow(Flow(name))
    flow = storage_from_dict(json.loads(json.dumps(storage.serialize()))).get_flow(name)
    state = flow.run()
    return next(iter(state.result.values())).result


# -- git


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with a commit on a branch, one under a tag, and one that is the newest of the default branch."""
    require("git")
    path = tmp_path_factory.mktemp("work")
    bare = tmp_path_factory.mktemp("server") / "owner" / "name.git"

    def git(*arguments, cwd=path):
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "trunk")
    (path / "flows").mkdir()
    (path / "flows" / "neighbour_in_repository.py").write_text("NAME = 'stored'\n")
    commits = {}
    for value, then in (("first", ("tag", "v1")), ("second", ("branch", "feature/x")), ("third", ("status", "-s"))):
        (path / "flows" / "flow.py").write_text(script(value))
        git("add", ".")
        git("commit", "-q", "-m", value)
        git(*then)
        commits[value] = git("rev-parse", "HEAD")
    git("clone", "-q", "--bare", str(path), str(bare), cwd=path.parent)
    git("update-server-info", cwd=bare)
    return bare, commits


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "third"),
        ({"branch_name": "feature/x"}, "second"),
        ({"tag": "v1"}, "first"),
        ({"commit": "second"}, "second"),
        ({"commit": "second", "short": True}, "second"),
        ({"branch_name": "trunk", "clone_depth": 3}, "third"),
    ],
)
def test_git_at_a_revision(repository, options, expected):
    bare, commits = repository
    options = dict(options)
    length = 8 if options.pop("short", False) else 40
    if "commit" in options:
        options["commit"] = commits[options["commit"]][:length]
    storage = Git("flows/flow.py", git_clone_url_secret_name="URL", **options)
    with prefect.context(secrets={"URL": f"file://{bare}"}):
        assert load(storage) == expected


def test_git_says_what_is_missing(repository, monkeypatch):
    bare, commits = repository
    cases = [
        ({"branch_name": "nope"}, "could not be fetched from the URL in the secret 'URL': .*nope"),
        ({"flow_path": "nope.py"}, f"which has no such file at commit {commits['third']}"),
        ({"commit": "0" * 40}, "could not be fetched"),
    ]
    with prefect.context(secrets={"URL": f"file://{bare}"}):
        for options, message in cases:
            with pytest.raises(FlowStorageError, match=message):
                load(Git(**{"flow_path": "flows/flow.py", "git_clone_url_secret_name": "URL", **options}))
        monkeypatch.setenv("PATH", "")
        with pytest.raises(FlowStorageError, match="The command `git` is not installed"):
            load(Git("flows/flow.py", git_clone_url_secret_name="URL"))


def test_git_addresses():
    with prefect.context(secrets={"TOKEN": "to/ken", "URL": "https://x/y.git"}):
        for options, url in (
            ({}, "https://github.com/owner/name.git"),
            ({"use_ssh": True, "repo_host": "host"}, "git@host:owner/name.git"),
            ({"git_token_secret_name": "TOKEN"}, "https://owner:to%2Fken@github.com/owner/name.git"),
            (
                {"git_token_secret_name": "TOKEN", "git_token_username": "me"},
                "https://me:to%2Fken@github.com/owner/name.git",
            ),
            (
                {"git_token_secret_name": "TOKEN", "format_access_token": False},
                "https://to/ken@github.com/owner/name.git",
            ),
            ({"git_clone_url_secret_name": "URL"}, "https://x/y.git"),
        ):
            assert Git("f.py", repo="owner/name", **options).git_clone_url == url
    with pytest.raises(
        ValueError, match=r"^Please provide only one of the following parameters: `branch_name`, `tag`, `commit`"
    ):
        Git("f.py", repo="x/y", tag="t", commit="c")
    with pytest.raises(ValueError, match=r"^Either `repo` or `git_clone_url_secret_name` must be provided$"):
        Git("f.py")
    assert Git("f.py", repo="x/y").stored_as_script


def test_tokens_reach_the_server_of_the_repository_and_no_command_line(repository):
    bare, _ = repository
    root = bare.parent.parent
    seen, commands = [], set()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=root)

        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    commands.update(process.cmdline())
            super().do_GET()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://me:s3cret-of-test@127.0.0.1:{server.server_port}/owner/name.git"
        try:
            # Servers of plain files cannot send less than everything.
            with checkout(url, depth=None) as (directory, _commit):
                assert (directory / "flows" / "flow.py").is_file()
                assert "s3cret-of-test" not in (directory / ".git" / "config").read_text()
            with pytest.raises(GitError) as caught, checkout(url + "x", depth=None):
                pass
        finally:
            server.shutdown()
            thread.join()
    assert set(seen) == {"Basic " + base64.b64encode(b"me:s3cret-of-test").decode()}
    assert any("git" in argument for argument in commands)
    assert not [argument for argument in commands if "s3cret-of-test" in argument]
    assert "s3cret-of-test" not in str(caught.value)


# -- hosts

PLAIN = "from prefect import Flow, task\nwith Flow('stored') as flow:\n    task(lambda: 'here', name='t')()\n"


def hosted(files):
    """Answer with what `files` has for `METHOD-less path?query`; otherwise 404."""

    def answer(request):
        found = files.get(request.path)
        if found is None:
            return 404, {}, b"{}"
        status, headers, body = found(request) if callable(found) else (200, {}, found)
        return status, headers, body if isinstance(body, bytes) else body.encode()

    return http_stub(answer)


def test_github(monkeypatch):
    files = {
        "/repos/o/n/commits/HEAD": b"c0ffee",
        "/repos/o/n/commits/feature/x": b"beef",
        "/repos/o/n/contents/flows/my flow.py": PLAIN,
    }
    with hosted(files) as server, prefect.context(secrets={"T": 123, "GITHUB_ACCESS_TOKEN": "usual"}):
        assert load(GitHub("o/n", "flows/my flow.py", base_url=server.url)) == "here"
        assert load(GitHub("o/n", "flows/my flow.py", "feature/x", "T", f"{server.url}/")) == "here"
        assert [r.headers.get("authorization") for r in server.requests] == ["Bearer usual"] * 2 + ["Bearer 123"] * 2
        assert [r.query.get("ref") for r in server.requests] == [None, "c0ffee", None, "beef"]
        with pytest.raises(FlowStorageError, match=r"did not give the revision 'nope' of 'o/n' \(404 .*no such thing"):
            load(GitHub("o/n", "flows/my flow.py", "nope", base_url=server.url))
        url = server.url
    monkeypatch.setattr("prefect.storage.hosted._RETRY_FOR_S", 0.0)
    with pytest.raises(FlowStorageError, match=r"^GitHub could not be reached at http://127.0.0.1"):
        load(GitHub("o/n", "x.py", base_url=url))


def test_hosts_that_are_overloaded_are_asked_again():
    answers = iter([503, 429, 502])

    def busy(request):
        status = next(answers, 200)
        return status, {}, b"busy" if status != 200 else b"c0ffee"

    with hosted({"/repos/o/n/commits/HEAD": busy, "/repos/o/n/contents/f.py": PLAIN}) as server:
        assert load(GitHub("o/n", "f.py", base_url=server.url)) == "here"
        assert len(server.requests) == 5


def test_tokens_do_not_follow_to_another_host():
    with hosted({"/elsewhere": PLAIN}) as other:
        # The same machine by another name is another host.
        target = other.url.replace("127.0.0.1", "localhost") + "/elsewhere"
        moved = {"/api/v4/projects/g/n/repository/files/f.py/raw": lambda request: (302, {"Location": target}, b"")}
        with hosted(moved) as server, prefect.context(secrets={"GITLAB_ACCESS_TOKEN": "t"}):
            assert load(GitLab("g/n", server.url, "f.py")) == "here"
        assert server.requests[0].headers["authorization"] == "Bearer t"
        assert "authorization" not in other.requests[0].headers


def test_github_tokens_of_the_environment(monkeypatch):
    monkeypatch.setenv("GITHUB_ACCESS_TOKEN", "of environment")
    refuse = {"/repos/o/n/commits/HEAD": lambda request: (401, {}, b"Bad credentials")}
    with hosted(refuse) as server:
        with pytest.raises(FlowStorageError, match=r"401 .*: the credentials are not accepted\.$"):
            load(GitHub("o/n", "x.py", base_url=server.url))
        assert server.requests[0].headers["authorization"] == "Bearer of environment"


def test_gitlab():
    files = {"/api/v4/projects/group/sub/name/repository/files/flows/f.py/raw": PLAIN}
    with hosted(files) as server, prefect.context(secrets={"GITLAB_ACCESS_TOKEN": "t"}):
        assert load(GitLab("group/sub/name", server.url, "flows/f.py")) == "here"
        assert load(GitLab("group/sub/name", server.url, "flows/f.py", ref="dev")) == "here"
        first, second = server.requests
    assert first.raw_path == "/api/v4/projects/group%2Fsub%2Fname/repository/files/flows%2Ff.py/raw?ref=master"
    assert second.query == {"ref": "dev"}
    assert first.headers["authorization"] == "Bearer t"
    with pytest.raises(ValueError, match=r"^A `path` must be provided"):
        load(GitLab("x/y"))


def test_bitbucket(monkeypatch):
    files = {
        "/2.0/repositories/w/n/src/master/f.py": PLAIN,
        "/2.0/repositories/w/n/refs/branches/feature/x": b'{"target": {"hash": "abc"}}',
        "/2.0/repositories/w/n/src/abc/f.py": PLAIN,
        "/rest/api/1.0/projects/P/repos/n/raw/f.py": PLAIN,
    }
    monkeypatch.setenv("BITBUCKET_CLOUD_USERNAME", "me")
    monkeypatch.setenv("BITBUCKET_CLOUD_APP_PASSWORD", "pw")
    with hosted(files) as server, prefect.context(secrets={"T": "t"}):
        cloud = {"workspace": "w", "host": server.url, "path": "f.py"}
        assert load(Bitbucket("P", "n", **cloud)) == "here"
        assert load(Bitbucket("P", "n", ref="feature/x", **cloud)) == "here"
        assert load(Bitbucket("P", "n", host=server.url, path="f.py", ref="dev", access_token_secret="T")) == "here"
        assert server.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:pw").decode()
        assert server.requests[-1].headers["authorization"] == "Bearer t"
        assert server.requests[-1].query == {"at": "dev"}
    with pytest.raises(ValueError, match="`workspace` and `access_token_secret`"):
        Bitbucket("P", "n", workspace="w", access_token_secret="T")
    with pytest.raises(FlowStorageError, match="give the `host` of a Bitbucket Server"):
        load(Bitbucket("P", "n", path="f.py"))


def test_codecommit():
    """Against a server that answers as AWS does, where AWS's library is installed."""
    pytest.importorskip("botocore", reason="the extra `aws` is not installed")
    answer = {"commitId": "c", "fileContent": base64.b64encode(PLAIN.encode()).decode(), "blobId": "b", "fileSize": 1}
    with http_stub(lambda request: (200, {}, json.dumps(answer).encode())) as server:
        options = {"endpoint_url": server.url, "region_name": "us-east-1"}
        with prefect.context(secrets={"AWS_CREDENTIALS": {"ACCESS_KEY": "a", "SECRET_ACCESS_KEY": "b"}}):
            assert load(CodeCommit("n", "f.py", "dev", options)) == "here"
        sent = json.loads(server.requests[0].body)
    assert sent == {"repositoryName": "n", "filePath": "f.py", "commitSpecifier": "dev"}


# -- webhooks


@pytest.fixture
def shelf():
    """A server that keeps what is put on it."""
    kept = {}

    def answer(request):
        if request.headers.get("x-token") != "s3cret":
            return 401, {}, b"no"
        if request.method == "GET":
            return (200, {}, kept[request.path]) if request.path in kept else (404, {}, b"nothing here")
        kept[request.path] = request.body
        return 201, {}, b'{"id": 1}'

    with http_stub(answer) as stub:
        stub.kept = kept
        yield stub


def webhook(shelf, **options):
    headers = {"headers": {"X-Token": "${WEBHOOK_TOKEN}"}}
    return Webhook(
        {"url": f"{shelf.url}/put/${{WHERE}}", **headers},
        "POST",
        {"url": f"{shelf.url}/put/a", **headers},
        "GET",
        **options,
    )


def test_webhooks(shelf, monkeypatch, tmp_path):
    monkeypatch.setenv("WHERE", "a")
    with Flow("stored") as flow:
        task(lambda: "here", name="t")()
    storage = webhook(shelf)
    with prefect.context(secrets={"WEBHOOK_TOKEN": "s3cret"}):
        assert storage.add_flow(flow) == "stored"
        storage.build()
        assert storage._build_responses["stored"].json() == {"id": 1}
        assert flow_from_bytes_pickle(shelf.kept["/put/a"]).name == "stored"
        loaded = storage_from_dict(json.loads(json.dumps(storage.serialize())))
        assert loaded.get_flow("stored").run().is_successful()
        assert loaded.build_request_kwargs["headers"] == {"X-Token": "${WEBHOOK_TOKEN}"}
        storage.add_flow(Flow("other"))
        assert storage.flows == {"other": "other"}

        path = tmp_path / "f.py"
        path.write_text(PLAIN)
        scripted = webhook(shelf, stored_as_script=True, flow_script_path=str(path))
        scripted.add_flow(flow)
        scripted.build()
        assert shelf.kept["/put/a"].decode() == PLAIN
        assert load(webhook(shelf, stored_as_script=True)) == "here"
        before = len(shelf.requests)
        webhook(shelf, stored_as_script=True).build()
        assert len(shelf.requests) == before
        shelf.kept.clear()
        with pytest.raises(
            FlowStorageError, match=r"load the flow 'stored' was answered with 404 Not Found: nothing here"
        ):
            loaded.get_flow("stored")
    with pytest.raises(
        FlowStorageError, match=r"^`\$\{WEBHOOK_TOKEN\}` is neither an environment variable nor a secret"
    ):
        loaded.get_flow("stored")
    monkeypatch.setenv("WEBHOOK_TOKEN", "wrong")
    with pytest.raises(FlowStorageError, match="401"):
        loaded.get_flow("stored")


def test_webhook_options():
    with pytest.raises(RuntimeError, match=r"^HTTP method 'DELETE' not recognized$"):
        Webhook({}, "DELETE", {}, "GET")
    storage = Webhook({}, "GET", {"url": "http://x", "proxies": {}}, "GET")
    storage.add_flow(Flow("x"))
    with pytest.raises(FlowStorageError, match="has no option 'proxies'"):
        storage.get_flow("x")
    moved = [(302, {"Location": "/there"}, b"")]
    with http_stub(lambda r: moved[0] if r.path == "/" else (200, {}, flow_to_bytes_pickle(Flow("x")))) as server:
        storage.get_flow_request_kwargs = {"url": server.url, "timeout": [1, 2], "auth": ["a", "b"]}
        assert storage.get_flow("x").name == "x"
        storage.get_flow_request_kwargs["allow_redirects"] = False
        with pytest.raises(FlowStorageError, match="302"):
            storage.get_flow("x")
