"""The other names of the selector's keys: those that carry a runtime's name, and document 002's flags.

Document 001 writes `v5_enabled` and `v5_canary_sessions`, with whatever the candidate is called. Document 002 has a
struct of flags: `ForceV1Mode`, `V3RolloutPercentage`, `EnableV3Transport`, ... They are taken as they stand there or in
lower case with underscores, in `[runtime]` or in a table `[flags]`, with the document's own V1 and V3 or with the names
in `[runtimes]`. All are translated to fixed names before anything is checked, so that nothing else knows of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agt.router._problem import Problem, nearest

NAMED_AFTER_CANDIDATE: Final = ("_enabled", "_canary_sessions")
FLAGS: Final = "flags"
"""The table for document 002's struct, whole."""
FLAG_COMPONENTS: Final = ("transport", "compression", "prediction", "state_sync", "consensus", "placement")
"""Document 002's six components; flags of others are understood likewise."""
_DOCUMENTED: Final = {"control": "v1", "candidate": "v3"}
"""What document 002 calls them."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(slots=True)
class Named:
    """A selector's tables under their fixed names."""

    data: dict[str, Any]
    written: dict[str, str] = field(default_factory=dict)
    """Key path by its fixed name to what the text writes, where they differ."""
    problems: list[Problem] = field(default_factory=list)


def fixed_names(data: dict[str, Any]) -> Named:
    """Give every key its fixed name; keys that are given twice, and unknown flags, are problems."""
    control, candidate = runtime_name(data, "control"), runtime_name(data, "candidate")
    named = Named(
        {
            key: dict(value) if key == "components" and isinstance(value, dict) else value
            for key, value in data.items()
            if key != FLAGS
        }
    )
    for table in ("runtime", FLAGS):
        values = data.get(table, {})
        if not isinstance(values, dict):
            if table == FLAGS:
                named.problems.append(Problem(FLAGS, "must be a table: [flags]"))
            continue
        if table == "runtime" and table in data:
            named.data[table] = {}
        for key, value in values.items():
            path = _path(key, control, candidate)
            if not path and table == FLAGS:
                named.problems.append(Problem(f"{FLAGS}.{key}", f"unknown flag; {nearest(key, _flags(candidate))}"))
            else:
                _put(named, path or f"{table}.{key}", f"{table}.{key}", value)
    route = named.data.get("runtime")
    if isinstance(route, dict) and named.written.get("runtime.percentage"):
        # Document 002 has no switch beside its percentage, which alone sends devices to the candidate.
        route.setdefault("candidate_enabled", True)
    return named


def runtime_name(data: dict[str, Any], which: str) -> str:
    """Return what `[runtimes]` calls control or candidate; the word itself where it says nothing usable."""
    table = data.get("runtimes")
    name = table.get(which) if isinstance(table, dict) else None
    return name if isinstance(name, str) and name else which


def _path(key: str, control: str, candidate: str) -> str:
    """Return the fixed path of a key with another name; empty for a key that has none."""
    for end in NAMED_AFTER_CANDIDATE:
        if key == f"{candidate}{end}" and candidate != "candidate":
            return f"runtime.candidate{end}"
    squeezed = _squeezed(key)
    if squeezed in {f"force{name}mode" for name in _names(control, "control")}:
        return "runtime.kill_switch"
    for name in _names(candidate, "candidate"):
        if squeezed == f"{name}rolloutpercentage":
            return "runtime.percentage"
        if squeezed.startswith(f"enable{name}") and len(squeezed) > len(f"enable{name}"):
            return f"components.{_component(key, name)}"
    return ""


def _names(name: str, which: str) -> Iterator[str]:
    yield _squeezed(name)
    yield _DOCUMENTED[which]


def _component(key: str, name: str) -> str:
    """Return the component of `EnableV3StateSync` or `enable_v3_state_sync`: `state_sync`."""
    snake = _HUMP.sub("_", key).lower().replace("-", "_")
    prefix = "_*".join(re.escape(letter) for letter in f"enable{name}")
    return re.sub(f"^_*{prefix}_*", "", snake)


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _put(named: Named, path: str, here: str, value: object) -> None:
    """Put a value where it belongs, and note how it was written."""
    into, _, name = path.partition(".")
    there = named.data.setdefault(into, {})
    if not isinstance(there, dict):
        return  # Somebody wrote `components = 3`; the check of the shape says so.
    if name in there:
        named.problems.append(Problem(here, f"is given twice, also as {named.written.get(path, path)}; keep one"))
        return
    there[name] = value
    if here != path:
        named.written[path] = here


def _flags(candidate: str) -> list[str]:
    names = {candidate.title(), _DOCUMENTED["candidate"].title()}
    components = [f"Enable{name}{_humped(component)}" for name in names for component in FLAG_COMPONENTS]
    return [*components, *(f"{name}RolloutPercentage" for name in names), "ForceV1Mode"]


def _humped(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
