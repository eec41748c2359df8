"""When a flow runs: clocks that tick, filters and adjustments of their events."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.schedules.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.schedules",
    {
        "CronSchedule": "prefect.schedules.schedules",
        "IntervalSchedule": "prefect.schedules.schedules",
        "RRuleSchedule": "prefect.schedules.schedules",
        "Schedule": "prefect.schedules.schedules",
    },
    ("adjustments", "clocks", "filters", "schedules"),
)
