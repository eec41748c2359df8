"""The value of a task and where it is kept; concrete places are in `prefect.engine.results`."""

from prefect.engine.result.base import NoResult, NoResultType, Result, ResultNotImplementedError

__all__ = ["NoResult", "NoResultType", "Result", "ResultNotImplementedError"]
