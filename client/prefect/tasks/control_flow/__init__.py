"""Branches in a flow: run tasks or not by a value, choose among results, filter lists."""

from prefect.tasks.control_flow.case import case
from prefect.tasks.control_flow.conditional import CompareValue, Merge, ifelse, merge, switch
from prefect.tasks.control_flow.filter import FilterTask

__all__ = ["CompareValue", "FilterTask", "Merge", "case", "ifelse", "merge", "switch"]
