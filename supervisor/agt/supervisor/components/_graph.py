"""Who waits for whom: stages and dependencies as one graph, checked whole and ordered with ties by name.

A component waits for every component of every earlier stage (a stage that isn't ready never lets the next one start)
and for those that it names itself. Stopping walks the same graph backwards.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from agt.supervisor._errors import ComponentsInvalid
from agt.supervisor.components._spec import (
    PLACEHOLDERS,
    STAGES,
    CommandProbe,
    ComponentSpec,
    HttpProbe,
    Liveness,
    LogProbe,
)

COMPONENTS_MAX = 64
"""More than this in one plan is a mistake, and every one costs a task and a few descriptors."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def problems(specs: Sequence[ComponentSpec]) -> tuple[str, ...]:
    """Say everything that is wrong with these components together; empty when they can be started."""
    found: list[str] = []
    if len(specs) > COMPONENTS_MAX:
        found.append(f"component: {len(specs)} components, at most {COMPONENTS_MAX} can be supervised")
    for check in (_doubled_names, _bad_dependencies, _cycles, _bad_commands, _bad_probes):
        found += check(specs)
    return tuple(found)


def validate(specs: Sequence[ComponentSpec]) -> None:
    """Refuse components that contradict each other.

    Raises:
        ComponentsInvalid: with all problems at once.
    """
    if found := problems(specs):
        raise ComponentsInvalid(found)


def prerequisites(specs: Sequence[ComponentSpec]) -> Mapping[str, tuple[str, ...]]:
    """Whom each component waits for, by name: all of the earlier stages and its own dependencies."""
    return {
        spec.name: tuple(
            sorted(
                {other.name for other in specs if STAGES.index(other.stage) < STAGES.index(spec.stage)}
                | set(spec.depends_on)
            )
        )
        for spec in specs
    }


def dependants(specs: Sequence[ComponentSpec]) -> Mapping[str, tuple[str, ...]]:
    """Who waits for each component: these stop before it does."""
    waits = prerequisites(specs)
    return {spec.name: tuple(sorted(name for name, needs in waits.items() if spec.name in needs)) for spec in specs}


def start_order(specs: Sequence[ComponentSpec]) -> tuple[ComponentSpec, ...]:
    """Order components so that each comes after all that it waits for; ties by name.

    Raises:
        ComponentsInvalid: when there is no such order, or anything else is wrong with them.
    """
    validate(specs)
    by_name = {spec.name: spec for spec in specs}
    sorter = TopologicalSorter(prerequisites(specs))
    sorter.prepare()
    ordered: list[ComponentSpec] = []
    while sorter.is_active():
        names = sorted(sorter.get_ready())
        ordered += [by_name[name] for name in names]
        sorter.done(*names)
    return tuple(ordered)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'gateway'?`, or nothing when no known name is near."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _key(index: int, spec: ComponentSpec, field: str) -> str:
    return f"component[{index}].{field} ({spec.name})"


def _doubled_names(specs: Sequence[ComponentSpec]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for index, spec in enumerate(specs):
        if spec.name in seen:
            found.append(f"{_key(index, spec, 'name')}: component[{seen[spec.name]}] has the same name")
        seen.setdefault(spec.name, index)
    return found


def _bad_dependencies(specs: Sequence[ComponentSpec]) -> list[str]:
    stages = {spec.name: STAGES.index(spec.stage) for spec in specs}
    found = []
    for index, spec in enumerate(specs):
        key = _key(index, spec, "depends_on")
        for name in spec.depends_on:
            if name == spec.name:
                found.append(f"{key}: it depends on itself")
            elif name not in stages:
                found.append(f"{key}: there is no component {name!r}{nearest(name, stages)}")
            elif stages[name] > STAGES.index(spec.stage):
                found.append(f"{key}: {name!r} is in the later stage {STAGES[stages[name]]!s}, it would wait forever")
    return found


def _cycles(specs: Sequence[ComponentSpec]) -> list[str]:
    known = {spec.name for spec in specs}
    edges = {
        spec.name: sorted(name for name in set(spec.depends_on) & known if name != spec.name)
        for spec in sorted(specs, key=lambda spec: spec.name)
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return [f"component.depends_on: they wait for each other: {' <- '.join(error.args[1])}"]
    return []


def _bad_commands(specs: Sequence[ComponentSpec]) -> list[str]:
    found = []
    for index, spec in enumerate(specs):
        commands = {"command": spec.command}
        for field, probe in _probes(spec.readiness, spec.liveness):
            if isinstance(probe, CommandProbe):
                commands[f"{field}.command"] = probe.command
        for field, words in commands.items():
            found += [f"{_key(index, spec, field)}: {why}" for why in _bad_words(words)]
        if any("\0" in value for value in spec.environment.values()):
            found.append(f"{_key(index, spec, 'environment')}: holds a zero byte")
    return found


def _bad_words(words: Sequence[str]) -> list[str]:
    found = [] if words[0].strip() else ["the program's name is empty"]
    if any("\0" in word for word in words):
        found.append("holds a zero byte")
    # A brace that is neither placeholder nor near one may be the program's own (JSON, a shell fragment).
    names = sorted({name for word in words for name in _PLACEHOLDER.findall(word)} - set(PLACEHOLDERS))
    near = {name: nearest(name, PLACEHOLDERS) for name in names}
    return found + [f"unknown placeholder {{{name}}}{close}" for name, close in near.items() if close]


def _bad_probes(specs: Sequence[ComponentSpec]) -> list[str]:
    found = []
    for index, spec in enumerate(specs):
        for field, probe in _probes(spec.readiness, spec.liveness):
            if isinstance(probe, HttpProbe) and bool(probe.socket) == bool(probe.port):
                found.append(f"{_key(index, spec, field)}: an http probe needs either socket or port")
            if isinstance(probe, LogProbe):
                found += [f"{_key(index, spec, field)}: {why}" for why in _bad_pattern(field, probe.pattern)]
    return found


def _bad_pattern(field: str, pattern: str) -> list[str]:
    if field == "liveness":
        return ["a line in its output says that it became ready, not that it still lives; use another probe"]
    try:
        re.compile(pattern)
    except re.error as error:
        return [f"{pattern!r} is no regular expression: {error}"]
    return []


def _probes(readiness: object, liveness: Liveness | None) -> tuple[tuple[str, object], ...]:
    return (("readiness", readiness), *((("liveness", liveness.probe),) if liveness else ()))
