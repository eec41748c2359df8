"""The playground over HTTP: who gets it, with which headers, and that nothing else can be had."""

import gzip
import re
from typing import Any

import httpx
import pytest
from api_world import Api, serving

from flowstead_server.api.schema import api_schema
from flowstead_server.settings import read_settings
from flowstead_server.web import playground
from flowstead_server.web.app import WebApplication
from flowstead_server.web.playground import Playground

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Encoding": "identity"}


@pytest.fixture
def api(shared_api: Api) -> Api:
    return shared_api


async def page_of(api: Any, path: str = "/graphql") -> httpx.Response:
    return await api.http.get(path, headers=HTML)


async def asset_paths(api: Any) -> list[str]:
    return ["/" + name for name in re.findall(r'"\./(assets/[^"]+)"', (await page_of(api)).text)]


@pytest.mark.parametrize("path", ["/", "/graphql", "/graphql/"])
async def test_browsers_get_the_playground(api: Any, path: str) -> None:
    page = await page_of(api, path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Flowstead</title>" in page.text
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["vary"] == "accept, accept-encoding"


async def test_programs_get_what_they_got_before(api: Any) -> None:
    for accept in ("*/*", "application/json"):
        answer = await api.http.get("/graphql", headers={"Accept": accept})
        assert "This is the GraphQL API" in answer.text
        assert answer.headers["vary"] == "accept"


async def test_the_policy_lets_the_page_load_from_this_server_only(api: Any) -> None:
    for path in ("/graphql", *await asset_paths(api)):
        answer = await page_of(api, path)
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert set(policy.values()) == {"'none'", "'self'"}
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"""(src|href)=["'](https?:)?//""", (await page_of(api)).text)


@pytest.mark.parametrize("prefix", ["", "/graphql"])
async def test_files_are_immutable_and_have_their_types(api: Any, prefix: str) -> None:
    paths = await asset_paths(api)
    types = {}
    for path in paths:
        answer = await api.http.get(prefix + path, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        types[path.rsplit(".", 1)[1]] = answer.headers["content-type"]
    assert types == {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }


async def test_a_browser_that_has_a_file_gets_no_content(api: Any) -> None:
    for path in ("/graphql", *await asset_paths(api)):
        etag = (await page_of(api, path)).headers["etag"]
        for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await api.http.get(path, headers={**HTML, "If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == etag
            assert "content-length" not in again.headers
        assert (await api.http.get(path, headers={**HTML, "If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("accept", "zipped"),
    [("gzip, deflate, br", True), ("br;q=1.0, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False)],
)
async def test_files_are_compressed_for_those_who_ask(api: Any, accept: str, zipped: bool) -> None:
    (script,) = [path for path in await asset_paths(api) if path.endswith(".js")]
    plain = await page_of(api, script)
    async with api.http.stream("GET", script, headers={"Accept-Encoding": accept}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert ("content-encoding" in answer.headers) is zipped
    assert int(answer.headers["content-length"]) == len(raw)
    assert (gzip.decompress(raw) if zipped else raw) == plain.content
    assert (answer.headers["etag"] != plain.headers["etag"]) is zipped
    # What the page costs over a slow line.
    assert len(raw) < (450_000 if zipped else 1_300_000)


async def test_head_answers_as_get_without_the_content(api: Any) -> None:
    for path in ("/", *await asset_paths(api)):
        whole = await page_of(api, path)
        head = await api.http.head(path, headers=HTML)
        assert (head.status_code, head.content) == (200, b"")
        assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets/none.js",
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/assets/..%2f..%2fsettings.py",
        "/assets/%5c..%5cindex.html",
        "/assets//etc/passwd",
        "/index.html",
        "/build.json",
        "/licenses.md",
        "/assets/a%00.js",
    ],
)
async def test_nothing_else_can_be_had(api: Any, path: str) -> None:
    request = httpx.Request("GET", api.url, extensions={"target": path.encode()})
    request.headers["Accept"] = "text/html"
    answer = await api.http.send(request)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"


async def test_a_server_without_a_playground_says_what_it_is(api: Any) -> None:
    application = WebApplication(
        schema=api_schema(),
        database=api.database,
        hub=api.hub,
        tenant_id=api.tenant_id,
        version="9.9.9",
        body_limit=1000,
    )
    script = next(path for path in await asset_paths(api) if path.endswith(".js"))
    async with serving(application) as url, httpx.AsyncClient(base_url=url) as http:
        assert "This is the GraphQL API" in (await http.get("/graphql", headers=HTML)).text
        assert (await http.get(script)).status_code == 404


def test_the_playground_can_be_switched_off() -> None:
    assert read_settings([], {}).shows_playground
    assert not read_settings([], {"PREFECT__SERVER__UI__PLAYGROUND": "false"}).shows_playground
    assert not read_settings(["--no-ui"], {}).shows_playground
    assert not read_settings(["--disable-introspection"], {}).shows_playground


def test_a_file_of_an_unknown_kind_is_not_served(tmp_path: Any) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>x</title>")
    (tmp_path / "assets" / "notes.txt").write_text("x")
    (tmp_path / "assets" / "a.js").write_text("1")
    scope = {"headers": [(b"accept", b"text/html")]}
    made = Playground.load(tmp_path)
    assert made.find({**scope, "path": "/assets/a.js"}) is not None
    assert made.find({**scope, "path": "/assets/notes.txt"}) is None
    assert playground.built_playground() is playground.built_playground()
