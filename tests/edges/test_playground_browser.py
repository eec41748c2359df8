"""The playground in a real browser that reaches nothing but the server: it explains, creates runs and watches them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from api_world import Api, running_api
from chromium import Visit, running_chromium, visiting
from playwright.async_api import Browser
from serialized_flows import serialized_flow, serialized_parameter

from flowstead_server.db import Database
from flowstead_server.db.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
GROUPS = json.loads((ROOT / "server" / "ui" / "examples" / "index.json").read_text())
ANSWER = ".result-window"
VARIABLES = ".graphiql-editor-tool > :nth-child(1)"
HEADERS = ".graphiql-editor-tool > :nth-child(2)"
READ = "(place) => document.querySelector(`${place} .CodeMirror`).CodeMirror.getValue()"
WRITE = "([place, text]) => document.querySelector(`${place} .CodeMirror`).CodeMirror.setValue(text)"
# The page's policy forbids the evaluation of text that Playwright's own waiting for a condition needs.
WAIT = """([place, texts]) => new Promise((resolve) => {
  const editor = document.querySelector(`${place} .CodeMirror`).CodeMirror;
  const check = () => {
    const value = editor.getValue();
    if (texts.every((text) => value.includes(text))) {
      editor.off("changes", check);
      resolve(value);
    }
  };
  editor.on("changes", check);
  check();
})"""
# Tabs are stored a moment after the last change.
WAIT_STORED = """(text) => new Promise((resolve) => {
  const look = () => (localStorage["graphiql:tabState"]?.includes(text) ? resolve() : setTimeout(look, 20));
  look();
})"""
BACKGROUND = "getComputedStyle(document.querySelector('.graphiql-container')).backgroundColor"
DEADLINE = 20.0


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with running_chromium() as started:
        yield started


@pytest.fixture(scope="module")
async def api(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[Api]:
    name = f"playground_{os.getpid()}"
    async with await Database.connect(postgres.dsn_of("postgres")) as admin:
        await admin.execute(f'create database "{name}" template "{template_database}" strategy file_copy')
        try:
            async with await Database.connect(postgres.dsn_of(name)) as database, running_api(database) as running:
                project = await running.mutate("create_project", name="playground")
                flow = serialized_flow(
                    "greeter", parameters=[serialized_parameter("name", default="Marvin"), serialized_parameter("to")]
                )
                await running.mutate("create_flow", project_id=project["id"], serialized_flow=flow)
                yield running
        finally:
            await admin.execute(f'drop database if exists "{name}" with (force)')


async def ready(visit: Visit) -> None:
    await visit.page.get_by_role("heading", name="Examples").wait_for()
    await visit.page.locator(f"{VARIABLES} .CodeMirror").wait_for()
    await visit.page.locator(f"{ANSWER} .CodeMirror").wait_for()
    await editor_with(visit, VARIABLES, "flow_id")


async def execute(visit: Visit) -> None:
    await visit.page.get_by_role("button", name="Execute query").click()


async def editor_with(visit: Visit, place: str, *texts: str) -> str:
    """Wait until an editor holds all the texts; return what it holds."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await visit.page.evaluate(WAIT, [place, texts])
    except TimeoutError:
        held = await visit.page.evaluate(READ, place)
        pytest.fail(f"{place} does not come to hold {texts}, but holds {held!r}")


async def answer_with(visit: Visit, *texts: str) -> str:
    """Wait until the answer shows all the texts; return it."""
    return await editor_with(visit, ANSWER, *texts)


async def test_the_page_needs_no_other_host_and_explains_the_api(browser: Browser, api: Api) -> None:
    async with visiting(browser, api.url + "/graphql") as visit:
        await ready(visit)
        page = visit.page
        assert await page.title() == "Flowstead"
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            colour = await page.evaluate(BACKGROUND)
            brightness = int(colour.split("(")[1].split(",")[0])
            assert (brightness < 128) is (scheme == "dark"), colour
        await page.get_by_role("button", name="Show Documentation Explorer").click()
        docs = page.locator(".graphiql-doc-explorer")
        await docs.get_by_role("link", name="Mutation").click()
        await docs.get_by_role("link", name="create_flow_run", exact=True).click()
        await docs.get_by_text("Repeating it with the same idempotency key returns the existing run.").wait_for()
        await docs.get_by_role("link", name="create_flow_run_input").click()
        await docs.get_by_text("Values of the flow's parameters, by name.").wait_for()


async def test_a_run_is_created_and_watched_live(browser: Browser, api: Api) -> None:
    async with visiting(browser, api.url) as visit:
        await ready(visit)
        assert json.loads(await visit.page.evaluate(READ, VARIABLES))["parameters"] == {"name": "Marvin", "to": None}
        await execute(visit)
        run_id = json.loads(await answer_with(visit, '"id"'))["data"]["create_flow_run"]["id"]
        run = await api.data("query($id: uuid!) { flow_run_by_pk(id: $id) { state parameters } }", {"id": run_id})
        assert run["flow_run_by_pk"] == {"state": "Scheduled", "parameters": {"name": "Marvin", "to": None}}

        await visit.page.get_by_role("button", name="Watch it live").click()
        await answer_with(visit, "live; 1 result, newest first", "Scheduled")
        for number, (kind, line) in enumerate((("Running", "Hello, Marvin!"), ("Success", "Good bye.")), 2):
            await api.mutate(
                "write_run_logs", "success", logs=[{"flow_run_id": run_id, "message": line, "name": "prefect"}]
            )
            if kind == "Running":
                await answer_with(visit, f"live; {number} results", line)
            await api.mutate(
                "set_flow_run_states", "states { id }", states=[{"flow_run_id": run_id, "state": {"type": kind}}]
            )
            await answer_with(visit, kind, line)
        shown = json.loads(await answer_with(visit, "complete; "))
        newest_first = [page["data"]["flow_run_events"]["events"] for page in shown["results"]]
        told = [event["state"] or event["message"] for events in reversed(newest_first) for event in events]
        assert [text for text in told if text != "Pending"] == [
            "Scheduled",
            "Hello, Marvin!",
            "Running",
            "Good bye.",
            "Success",
        ]


async def test_every_example_runs_as_it_opens(browser: Browser, api: Api) -> None:
    names_before = {row["name"] for row in (await api.data("{ flow_run { name } }"))["flow_run"]}
    async with visiting(browser, api.url + "/graphql/") as visit:
        await ready(visit)
        for group in GROUPS:
            for item in group["examples"]:
                button = visit.page.get_by_role("button", name=f"{item['title']} {item['about']}", exact=True)
                await button.click()
                tab = visit.page.get_by_role("tab", selected=True)
                await tab.get_by_text(item["file"].replace("-", "_"), exact=True).wait_for()
                assert "<" not in await visit.page.evaluate(READ, VARIABLES)
                await execute(visit)
                answer = json.loads(await answer_with(visit, '"data"'))
                assert "errors" not in answer, (item, answer)
                if item["title"].endswith("live"):
                    assert answer["subscription"].startswith("live; ")
    rows = (await api.data("{ flow_run { name idempotency_key scheduled_start_time created } }"))["flow_run"]
    assert "from-the-playground" in {row["name"] for row in rows} - names_before
    assert any((row["idempotency_key"] or "").startswith("playground-") for row in rows)


async def test_an_api_key_goes_with_requests_and_is_not_kept(browser: Browser, api: Api) -> None:
    key = f"secret-{uuid4()}"
    async with visiting(browser, api.url + "/graphql") as visit:
        await ready(visit)
        page = visit.page
        await page.get_by_role("button", name="Headers").click()
        await page.evaluate(WRITE, [HEADERS, json.dumps({"Authorization": f"Bearer {key}"})])
        async with page.expect_request(lambda request: "create_flow_run" in (request.post_data or "")) as sent:
            await execute(visit)
        assert (await (await sent.value).all_headers())["authorization"] == f"Bearer {key}"
        await answer_with(visit, '"id"')
        await page.get_by_role("button", name="Watch it live").click()
        await answer_with(visit, "live; 1 result")
        assert any("connection_init" in frame and key in frame for frame in visit.frames)
        async with asyncio.timeout(DEADLINE):
            await page.evaluate(WAIT_STORED, "watch_run")
        kept = await page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        assert "create_run_with_parameters" in kept
        assert key not in kept
        assert "graphiql:queries" in kept
