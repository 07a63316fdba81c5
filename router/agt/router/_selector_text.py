"""From TOML text to a `Selector` and back, reporting every problem at once.

Two passes: shape (unknown keys, wrong types), then meaning (names that don't exist, choices that contradict each
other). Keys with other names (`v5_enabled`, document 002's flags) get their fixed ones first, see `_selector_names`.
"""

import datetime
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec
import tomli_w

from agt.router._errors import SelectorInvalid
from agt.router._problem import Problem, nearest
from agt.router._selector import MODES, UNKNOWN_MODE, ForcedMode, Meaning, Override, Route, Runtimes, Selector
from agt.router._selector_names import fixed_names, runtime_name

SELECTOR_MAX_BYTES = 1 << 20
"""Largest selector that is read; ten thousand names in a cohort are a fifth of it."""

_LEFT_AWAY = ("default_daemon", "up_to")
"""Keys of `[runtime]` that aren't written while they say nothing."""
_TABLES: dict[str, type[msgspec.Struct]] = {"runtimes": Runtimes, "runtime": Route, "forced_mode": ForcedMode}


def parse_selector(text: str | bytes, *, origin: str = "selector", runtimes: Runtimes | None = None) -> Selector:
    """Read a selector.

    Args:
        text: The TOML.
        origin: Name of the file for messages.
        runtimes: The names to use when the text has no `[runtimes]` (document 001's files have none).

    Raises:
        SelectorInvalid: with every problem that was found.
    """
    data = _decode(text, origin)
    if runtimes is not None and "runtimes" not in data:
        data["runtimes"] = {"control": runtimes.control, "candidate": runtimes.candidate}
    named = fixed_names(data)
    shape = [Problem(named.written.get(one.key, one.key), one.says) for one in _shape(named.data)]
    if named.problems or shape:
        raise SelectorInvalid((*named.problems, *shape), origin)
    selector = msgspec.convert(named.data, Selector)
    check_selector(selector, origin=origin)
    return selector


def check_selector(selector: Selector, *, origin: str = "selector") -> None:
    """Check what a selector means, wherever it came from.

    Raises:
        SelectorInvalid: with every problem that was found.
    """
    problems = tuple(problem for check in _MEANINGS for problem in check(selector))
    if problems:
        raise SelectorInvalid(problems, origin)


def format_selector(selector: Selector) -> str:
    """Return the TOML of a selector; reading it gives the same selector back."""
    data: dict[str, Any] = msgspec.to_builtins(selector, builtin_types=(datetime.datetime,))
    candidate = selector.runtimes.candidate
    route = {
        f"{candidate}{key.removeprefix('candidate')}" if key.startswith("candidate_") else key: value
        for key, value in data.pop("runtime").items()
        if value is not None and not (key in _LEFT_AWAY and value == "")
    }
    overrides = [_said(item) for item in data.pop("overrides")]
    forced = data.pop("forced_mode")
    ordered: dict[str, Any] = {"generation": data.pop("generation"), "runtimes": data.pop("runtimes"), "runtime": route}
    ordered |= {key: value for key, value in data.items() if value}
    if forced:
        ordered["forced_mode"] = _said(forced)
    if overrides:
        ordered["overrides"] = overrides
    return tomli_w.dumps(ordered)


def _said(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


def _decode(text: str | bytes, origin: str) -> dict[str, Any]:
    says = f"is larger than {SELECTOR_MAX_BYTES} bytes"
    if len(text) <= SELECTOR_MAX_BYTES:
        try:
            return tomllib.loads(text.decode() if isinstance(text, bytes) else text)
        except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors.
            says = f"is not TOML: {error}"
        except RecursionError:
            says = "is not TOML: nested too deeply"
    raise SelectorInvalid((Problem("", says),), origin)


def _shape(data: dict[str, Any]) -> Iterator[Problem]:
    if "runtimes" not in data:
        yield Problem("runtimes", 'is missing: write [runtimes] with control = "NAME" and candidate = "NAME"')
    candidate = runtime_name(data, "candidate")
    yield from _unknown("", data, _names(Selector))
    for field in _fields(Selector):
        if field.encode_name not in data:
            continue
        value = data[field.encode_name]
        if field.encode_name in _TABLES:
            yield from _table(field.encode_name, value, _TABLES[field.encode_name], candidate)
        elif field.encode_name == "overrides":
            yield from _overrides(value)
        elif field.encode_name == "environment" and isinstance(value, dict):
            yield from _environment(value)
        elif field.encode_name == "components" and isinstance(value, dict):
            yield from _flags("components", value)
        elif field.encode_name == "modes" and isinstance(value, dict):
            tables = {mode: policy for mode, policy in value.items() if isinstance(policy, dict)}
            yield from _flags("modes", {mode: policy for mode, policy in value.items() if mode not in tables})
            for mode, policy in tables.items():
                yield from _flags(f"modes.{mode}", policy)
        else:
            yield from _convert(field.encode_name, value, field.type)


def _table(name: str, value: object, kind: type[msgspec.Struct], candidate: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(name, f"must be a table: [{name}]")
        return
    shown = {key: f"{candidate}{key.removeprefix('candidate')}" for key in _names(kind) if key.startswith("candidate_")}
    valid = [shown.get(key, key) for key in _names(kind)]
    for key in value:
        if key not in _names(kind):
            yield Problem(f"{name}.{key}", f"unknown key; {nearest(key, valid)}")
    for field in _fields(kind):
        if field.encode_name in value:
            yield from _convert(f"{name}.{field.encode_name}", value[field.encode_name], field.type)
        elif field.required:
            yield Problem(f"{name}.{field.encode_name}", "is missing")


def _overrides(value: object) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem("overrides", "must be an array of tables: [[overrides]]")
        return
    for index, item in enumerate(value):
        yield from _table(f"overrides[{index}]", item, Override, "")


def _flags(prefix: str, flags: dict[str, Any]) -> Iterator[Problem]:
    for key, flag in flags.items():
        yield from _convert(f"{prefix}.{key}", flag, bool)


def _environment(value: dict[str, Any]) -> Iterator[Problem]:
    meanings = [meaning.value for meaning in Meaning]
    for key, meaning in value.items():
        if meaning not in meanings:
            yield Problem(f"environment.{key}", f"unknown meaning {meaning!r}; {nearest(str(meaning), meanings)}")


def _unknown(prefix: str, value: dict[str, Any], valid: list[str]) -> Iterator[Problem]:
    for key in value:
        if key not in valid:
            yield Problem(f"{prefix}{key}", f"unknown key; {nearest(key, valid)}")


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return a table's fields; working them out costs more than a whole selector does."""
    return msgspec.structs.fields(kind)


def _names(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in _fields(kind)]


def _convert(key: str, value: object, kind: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        says, _, where = str(error).partition(" - at `$")
        yield Problem(f"{key}{where.removesuffix('`')}", says[:1].lower() + says[1:])


def _names_differ(selector: Selector) -> Iterator[Problem]:
    if selector.runtimes.control == selector.runtimes.candidate:
        yield Problem("runtimes.candidate", "is the control's name too; the two runtimes need different names")


def _default_exists(selector: Selector) -> Iterator[Problem]:
    names = (selector.runtimes.control, selector.runtimes.candidate)
    if selector.runtime.default and selector.runtime.default not in names:
        yield Problem(
            "runtime.default_daemon",
            f"unknown runtime {selector.runtime.default!r}; {nearest(selector.runtime.default, names)}",
        )


def _default_or_percentage(selector: Selector) -> Iterator[Problem]:
    route = selector.runtime
    for key, given in (("percentage", route.percentage is not None), ("up_to", bool(route.up_to))):
        if selector.default_is_candidate and given:
            yield Problem(
                f"runtime.{key}",
                "contradicts default_daemon, which already sends everything to the candidate; remove one of the two",
            )


def _numbers_are_exact(selector: Selector) -> Iterator[Problem]:
    route = selector.runtime
    for key, value in (("percentage", route.percentage), ("shadow_percent", route.shadow_percent)):
        if value is None:
            continue
        if not 0 <= value <= 100:  # A struct made in code was never checked for its range; nan fails too.
            yield Problem(f"runtime.{key}", "must be a number from 0 to 100")
        elif abs(value * 100 - round(value * 100)) > 1e-6:
            yield Problem(f"runtime.{key}", f"{value} is finer than the steps of 0.01")


def _overrides_exist(selector: Selector) -> Iterator[Problem]:
    names = (selector.runtimes.control, selector.runtimes.candidate)
    seen: set[str] = set()
    for index, override in enumerate(selector.overrides):
        if override.runtime not in names:
            yield Problem(
                f"overrides[{index}].runtime",
                f"unknown runtime {override.runtime!r}; {nearest(override.runtime, names)}",
            )
        if override.device in seen:
            yield Problem(f"overrides[{index}].device", f"{override.device} has an override already; keep one")
        seen.add(override.device)
        if override.expires is not None and override.expires.tzinfo is None:
            yield Problem(f"overrides[{index}].expires", "needs an offset: write it with Z or +02:00 at the end")


def _modes_exist(selector: Selector) -> Iterator[Problem]:
    for mode, policy in sorted(selector.modes.items()):
        if mode not in (*MODES, UNKNOWN_MODE):
            yield Problem(f"modes.{mode}", f"unknown mode; {nearest(mode, (*MODES, UNKNOWN_MODE))}")
        for component in () if isinstance(policy, bool) else sorted(policy):
            if component not in selector.components:
                says = f"[components] has no such component; {nearest(component, selector.components)}"
                yield Problem(f"modes.{mode}.{component}", says)


def _forced_mode_is_clear(selector: Selector) -> Iterator[Problem]:
    forced = selector.forced_mode
    if forced is None:
        return
    if forced.mode not in MODES:  # A struct made in code was never checked.
        yield Problem("forced_mode.mode", f"unknown mode {forced.mode!r}; {nearest(forced.mode, MODES)}")
    if forced.expires is not None and forced.expires.tzinfo is None:
        yield Problem("forced_mode.expires", "needs an offset: write it with Z or +02:00 at the end")


_MEANINGS: tuple[Callable[[Selector], Iterator[Problem]], ...] = (
    _names_differ,
    _default_exists,
    _default_or_percentage,
    _numbers_are_exact,
    _overrides_exist,
    _modes_exist,
    _forced_mode_is_clear,
)
