"""Objects as the JSON that the API stores, and back.

Plain functions over dictionaries: `*_to_dict` and `*_from_dict`.  Unknown members are ignored; a `type` that is not
known raises `ValueError` naming it (results excepted: an unknown one keeps its location).
"""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes(
    "prefect.serialization", {}, ("flow", "functions", "result", "run_config", "schedule", "state", "storage")
)
