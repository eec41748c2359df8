"""One flow run under a backend, as a flow-run process executes it; prints what it took as JSON.

Arguments: `chain` or `map`, and the number of no-op tasks.
"""

import json
import sys
import time
from collections import Counter

import prefect
from prefect import Client, Flow, task
from prefect.client.plain_http import PlainExchange
from prefect.engine.cloud import CloudFlowRunner
from prefect.utilities.logging import LOG_MANAGER


@task
def nothing(value):
    return value


def make(shape: str, number: int) -> Flow:
    with Flow(f"bench-{shape}-{number}") as flow:
        if shape == "map":
            nothing.map(list(range(number)))
        else:
            value = nothing(0)
            for _ in range(number - 1):
                value = nothing(value)
    return flow


def main(shape: str, number: int) -> None:
    requests: Counter[str] = Counter()
    send = PlainExchange.send

    def counted(self, request, headers):
        requests[request.operation_name or ""] += 1
        return send(self, request, headers)

    PlainExchange.send = counted
    client = Client()
    client.create_project("bench")
    flow = make(shape, number)
    flow_id = flow.register("bench", no_url=True, build=False)
    flow_run_id = client.create_flow_run(flow_id=flow_id)
    requests.clear()
    started, cpu = time.perf_counter(), time.process_time()
    with prefect.context(flow_run_id=flow_run_id):
        end = CloudFlowRunner(flow).run()
    LOG_MANAGER.flush(60)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert end.is_successful(), end
    print(json.dumps({"seconds": seconds, "cpu": cpu, "requests": requests}), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
