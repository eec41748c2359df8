"""Writes the documentation page of the state machine from the transition table: `python -m … [FILE]`.

The page cannot say anything else than what is enforced. Without a file it is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from flowstead_server.domain.states import STATE_NAMES, TRANSITIONS, Family, Rule, Subject, classify, family

_INTRODUCTION: Final = """\
# States

A flow run and each of its task runs are always in one state. A state changes only by compare-and-set: a change names
the version that it leaves, and its history is written in the same transaction. What the 1.x programs legitimately send
is accepted; refused is what can only come from a stale copy of a run. A refused change is never applied, is recorded in
the run's log, and is answered with the code `VERSION_LOCKING_ERROR`, or, for a second `Submitted`, with the text
`State update failed: this run has already been submitted.`

Besides this table, a change is refused that carries a claim token which is not the run's current one, and, when version
locking is on for the flow group, a version behind the stored one. Of task runs those of secrets, and of the setup and
cleanup of resources, may become Running whatever they were: what they give is never kept, so that engines run them
again in each process of their flow run.

<!-- Generated from server/flowstead_server/domain/states.py by `make generate`; do not edit. -->
"""
_MARKS: Final = {Rule.ALLOW: "yes", Rule.STALE: "no: stale", Rule.ALREADY_SUBMITTED: "no: already submitted"}
# the way of an ordinary run; the table has every other pair
_USUAL: Final = (
    (Family.NEW, Family.SCHEDULED),
    (Family.SCHEDULED, Family.SUBMITTED),
    (Family.SUBMITTED, Family.RUNNING),
    (Family.SUBMITTED, Family.SCHEDULED),
    (Family.RUNNING, Family.FINISHED),
    (Family.RUNNING, Family.CANCELLING),
    (Family.CANCELLING, Family.FINISHED),
    (Family.SCHEDULED, Family.FINISHED),
    (Family.FINISHED, Family.SCHEDULED),
)


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [_INTRODUCTION, _families(), _diagram()]
    parts += [_table(subject) for subject in Subject]
    return "\n".join(parts)


def _label(one: Family) -> str:
    return one.value.replace(" ", "_")


def _families() -> str:
    lines = ["## Families", "", "| family | states | finished |", "|---|---|---|"]
    for one in Family:
        names = sorted(name for name in STATE_NAMES if family(name) is one)
        if names:
            finished = "yes" if all(classify(name).is_finished for name in names) else "no"
            lines.append(f"| {one.value} | {', '.join(names)} | {finished} |")
    return "\n".join([*lines, ""])


def _diagram() -> str:
    rules = TRANSITIONS[Subject.FLOW_RUN]
    lines = ["## The usual way of a flow run", "", "```mermaid", "stateDiagram-v2"]
    for source, target in _USUAL:
        if rules[source][target] is not Rule.ALLOW:
            raise ValueError(f"the diagram draws {source.value} to {target.value}, which the table refuses")
        lines.append(f"    {'[*]' if source is Family.NEW else _label(source)} --> {_label(target)}")
    return "\n".join([*lines, f"    {_label(Family.FINISHED)} --> [*]", "```", ""])


def _table(subject: Subject) -> str:
    rules = TRANSITIONS[subject]
    targets = [one for one in Family if one is not Family.NEW]
    lines = [
        f"## May a {subject.value} go from … to …",
        "",
        "| from \\ to | " + " | ".join(one.value for one in targets) + " |",
        "|---" * (len(targets) + 1) + "|",
    ]
    for source in Family:
        marks = " | ".join(_MARKS[rules[source][target]] for target in targets)
        lines.append(f"| {source.value} | {marks} |")
    return "\n".join([*lines, ""])


def main(arguments: list[str]) -> None:
    """Write the page to the file named, or print it."""
    if arguments:
        Path(arguments[0]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
