"""Hooks with real servers: told at once, by whichever server, and again after the one that sent it was killed."""

import concurrent.futures
import threading

import pytest
from agent_world import free_port
from receivers import Webhook
from system_world import System, wait_until

CREATE = "mutation($input: create_cloud_hook_input!) { create_cloud_hook(input: $input) { id } }"
FLOW = """
from prefect import Flow, task

@task
def nothing():
    pass

with Flow("nothing") as flow:
    nothing()
"""


class Hanging(Webhook):
    """A webhook that keeps requests until it is told to answer."""

    def __init__(self):
        super().__init__()
        self.release = threading.Event()
        plain = self.server.RequestHandlerClass

        class Handler(plain):
            def send_response(self, *arguments):
                release.wait(60)
                super().send_response(*arguments)

        release = self.release
        self.server.RequestHandlerClass = Handler
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None


def events(receiver):
    return [body["event"] for _, _, body in receiver.received]


@pytest.fixture
def system():
    with System() as it:
        it.env |= {"PREFECT__SERVER__HOOKS__ALLOWED_HOSTS": "127.0.0.1", "PREFECT__SERVER__HOOKS__TIMEOUT": "30"}
        (it.folder / "nothing.py").write_text(FLOW)
        yield it


def test_an_event_whose_sender_was_killed_is_sent_again_and_others_go_on(system):
    server = system.start_server()
    flow_id = system.register("nothing.py")["nothing"]
    with Hanging() as hanging, Webhook() as good:
        for receiver in (hanging, good):
            config = {"url": receiver.url}
            system.graphql(CREATE, input={"type": "WEBHOOK", "states": ["Scheduled"], "config": config})
        run_id = system.create_run(flow_id)
        wait_until(lambda: good.received)
        wait_until(lambda: hanging.received)
        delivered = '{ cloud_hook_delivery(where: {state: {_eq: "Delivered"}}) { id } }'
        wait_until(lambda: system.graphql(delivered)["cloud_hook_delivery"])
        (event,) = events(good)
        assert (event["flow_run"]["id"], event["state"]["state"]) == (run_id, "Scheduled")

        server.popen.kill()
        server.popen.wait()
        hanging.release.set()
        system.start_server()
        (waiting,) = system.graphql('{ cloud_hook_delivery(where: {state: {_neq: "Delivered"}}) { state attempts } }')[
            "cloud_hook_delivery"
        ]
        assert waiting == {"state": "Waiting", "attempts": 1}
        # a minute passes for its lease
        system.rows("update cloud_hook_delivery set next_attempt = now() where state = 'Waiting'")
        wait_until(lambda: len(hanging.received) == 2)
        assert [one["id"] for one in events(hanging)] == [event["id"]] * 2
        query = "{ cloud_hook_delivery { state attempts } }"
        wait_until(lambda: {row["state"] for row in system.graphql(query)["cloud_hook_delivery"]} == {"Delivered"})
        assert len(good.received) == 1, "what had arrived is not sent again"

        # the embedded database serves a second server, and both deliver
        port = free_port()
        system.start_server(port=port)
        urls = (system.url, f"http://127.0.0.1:{port}")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda number: system.create_run(flow_id, urls[number % 2]), range(40)))
        for receiver in (hanging, good):
            wait_until(lambda receiver=receiver: {e["flow_run"]["id"] for e in events(receiver)} >= set(runs))
            assert len(events(receiver)) == 42 if receiver is hanging else 41
