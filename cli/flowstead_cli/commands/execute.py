"""`prefect execute flow-run`: the body of a flow-run process, as agents start it.

Everything it needs comes from the environment.  Exit code 0 means that the run reached a state, also Failed; other
codes mean that it could not be loaded or executed.
"""

from flowstead_cli.wiring import group_app

app = group_app("Execute the flow run of this process.")


@app.command("flow-run")
def flow_run() -> int:
    """Execute the flow run whose id is in PREFECT__CONTEXT__FLOW_RUN_ID."""
    from prefect.engine.execute import execute_flow_run

    return execute_flow_run()
