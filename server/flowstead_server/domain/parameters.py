"""The values of a run's parameters, and whether a flow may run without anybody giving some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstead_server.domain.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def resolve_parameters(
    declared: object, group_defaults: Mapping[str, Any], given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return defaults of the flow, overlaid by the group's, overlaid by what was given.

    Names that the flow does not declare are kept. Raises BadInputError if a required one has no value.
    """
    parameters = list(_declared(declared))
    # a falsy default is left to the flow itself, as on the old server
    values = {parameter["name"]: parameter["default"] for parameter in parameters if parameter.get("default")}
    values.update(group_defaults)
    values.update(given or {})
    missing = {parameter["name"] for parameter in parameters if parameter.get("required")} - values.keys()
    if missing:
        names = ", ".join(repr(name) for name in sorted(missing))
        raise BadInputError(f"Required parameters were not supplied: {{{names}}}")
    return values


def check_schedulable(
    declared: object, group_defaults: Mapping[str, Any], clock_defaults: Sequence[Mapping[str, Any]]
) -> None:
    """Raise BadInputError unless every required parameter has a value from the group or from every clock."""
    required = {parameter["name"] for parameter in _declared(declared) if parameter.get("required")}
    uncovered = required - group_defaults.keys()
    if uncovered and not (clock_defaults and all(uncovered <= defaults.keys() for defaults in clock_defaults)):
        raise BadInputError("Can not schedule a flow that has required parameters.")


def clock_parameter_defaults(schedule: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the parameter defaults of each clock of a serialized schedule."""
    clocks = (schedule or {}).get("clocks")
    if not isinstance(clocks, list):
        return []
    return [(clock.get("parameter_defaults") or {}) if isinstance(clock, dict) else {} for clock in clocks]


def _declared(declared: object) -> Iterable[Mapping[str, Any]]:
    # very old flows hold an object here; an object declares nothing
    if isinstance(declared, list):
        yield from (item for item in declared if isinstance(item, dict) and isinstance(item.get("name"), str))
