"""Changing a hand-written selector without losing what its author wrote around the values.

Only values that differ are touched, each under the name that the text gives it (`V3RolloutPercentage` stays that).
The result is read back before it counts: whatever can't be kept for any reason is said, never lost in silence.
Needs tomlkit, which is imported when a file with comments is written, and not before.
"""

import datetime
import re
import tomllib
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec

from agt.router._errors import SelectorInvalid
from agt.router._selector import Selector
from agt.router._selector_names import fixed_names
from agt.router._selector_text import parse_selector

KEEP_MAX_BYTES: Final = 1 << 18
"""Largest text whose comments are kept; beyond it, editing would take a second and more."""
_TABLES: Final = ("runtime", "components", "modes", "environment")
_TOKENS: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""' r"|'''.*?'''" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'" r"|(?P<comment>#[^\n]*)", re.DOTALL
)
"""Strings, which may hold a `#`, and comments."""


class CannotKeep(Exception):
    """Raised when a text can't be changed in place; the reason is the message."""


def comments(text: str) -> int:
    """Count the comments of a TOML text."""
    return sum(match["comment"] is not None for match in _TOKENS.finditer(text)) if "#" in text else 0


def amended(text: str, selector: Selector) -> str:
    """Return the text with this selector's values, and everything else as it is.

    Raises:
        CannotKeep: when that isn't possible.
    """
    if len(text) > KEEP_MAX_BYTES:
        raise CannotKeep(f"it is larger than {KEEP_MAX_BYTES >> 10} KiB")
    try:
        import tomlkit  # noqa: PLC0415 - 0.1 s that only a file with comments is worth.
        from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415 - as above.
    except ImportError:
        raise CannotKeep("tomlkit is not installed") from None
    before = parse_selector(text, runtimes=selector.runtimes)
    if before.runtimes != selector.runtimes:
        raise CannotKeep("the runtimes' names change, and with them the names of keys")
    document = tomlkit.parse(text)
    try:
        _edit(document, text, before, selector)
        result = tomlkit.dumps(document)
        good = _same(parse_selector(result, runtimes=selector.runtimes), selector)
    except (TOMLKitError, SelectorInvalid, LookupError, TypeError, AttributeError):
        good, result = False, ""  # Dotted keys, inline tables, and what else TOML allows that we don't edit.
    if not good:
        raise CannotKeep("its layout is too unusual to be edited")
    return result


def _edit(document: MutableMapping[str, Any], text: str, before: Selector, selector: Selector) -> None:
    old, new = _plain(before), _plain(selector)
    if new["generation"] != old["generation"] or "generation" in document:
        _first(document, "generation", new["generation"])
    _values(document, old, new, fixed_names(tomllib.loads(text)).written, selector)
    if old["forced_mode"] != new["forced_mode"]:
        _forced_mode(document, old["forced_mode"], new["forced_mode"])
    if old["overrides"] != new["overrides"]:
        _overrides(document, old["overrides"], new["overrides"])


def _values(
    document: MutableMapping[str, Any],
    old: dict[str, Any],
    new: dict[str, Any],
    names: dict[str, str],
    selector: Selector,
) -> None:
    """Bring every key of the tables to its new value, under the name that the text has for it."""
    for table in _TABLES:
        for key in {**old[table], **new[table]}:
            before, after = old[table].get(key), new[table].get(key)
            if isinstance(before, dict) and isinstance(after, dict):
                _fields(document[table][key], before, after)
            elif before != after:
                shown = key if key in document.get(table, {}) else _shown(key, selector)
                where = names.get(f"{table}.{key}", f"{table}.{shown}")
                _put(document, where, after)
    if new["runtime"]["percentage"] is None and "runtime.percentage" in names:
        # Document 002's percentage enabled the candidate by being there; now that has to be said.
        _put(document, f"runtime.{_shown('candidate_enabled', selector)}", selector.runtime.enabled)


def _plain(selector: Selector) -> dict[str, Any]:
    plain = msgspec.to_builtins(selector, builtin_types=(datetime.datetime,))
    assert isinstance(plain, dict), "a struct becomes a dict"
    return plain


def _shown(key: str, selector: Selector) -> str:
    """Return how a key is written that the text doesn't have yet."""
    return f"{selector.runtimes.candidate}{key.removeprefix('candidate')}" if key.startswith("candidate_") else key


def _first(document: MutableMapping[str, Any], key: str, value: object) -> None:
    """Set a top-level key; a new one goes before the first table, where TOML has to have it."""
    import tomlkit  # noqa: PLC0415 - as above.

    if key in document:
        document[key] = value
        return
    head = tomlkit.document()
    head.add(key, value)
    body = tomlkit.dumps(head) + tomlkit.dumps(document)  # pyright: ignore[reportArgumentType]
    document.clear()
    document.update(tomlkit.parse(body))


def _put(document: MutableMapping[str, Any], path: str, value: object) -> None:
    """Set, add or take away one key of a table."""
    table, _, key = path.partition(".")
    if value is None:
        document.get(table, {}).pop(key, None)
        return
    if table not in document:
        document[table] = {}
    document[table][key] = list(value) if isinstance(value, tuple) else value


def _fields(table: MutableMapping[str, Any], old: dict[str, Any], new: dict[str, Any]) -> None:
    """Bring the values of one table to what they shall be."""
    for key in {**old, **new}:
        if new.get(key) is None:
            table.pop(key, None)
        elif old.get(key) != new[key]:
            table[key] = new[key]


def _forced_mode(document: MutableMapping[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    """Set, change or take away the table of the forced mode."""
    if new is None:
        del document["forced_mode"]
    elif old is None:
        document["forced_mode"] = {key: value for key, value in new.items() if value not in (None, "")}
    else:
        _fields(document["forced_mode"], old, new)


def _overrides(document: MutableMapping[str, Any], old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Bring the array of overrides to what it shall be, entry by entry, found by their devices."""
    import tomlkit  # noqa: PLC0415 - as above.
    from tomlkit.items import AoT  # noqa: PLC0415 - as above.

    if "overrides" not in document:
        document["overrides"] = tomlkit.aot()
    entries = document["overrides"]
    there = {one["device"]: (place, one) for place, one in enumerate(old)}
    for wanted in new:
        if wanted["device"] not in there:
            entry = tomlkit.table() if isinstance(entries, AoT) else tomlkit.inline_table()
            entry.update({key: value for key, value in wanted.items() if value not in (None, "")})
            entries.append(entry)
            continue
        place, known = there.pop(wanted["device"])
        for key, value in wanted.items():
            if value is None:
                entries[place].pop(key, None)
            elif value != known.get(key):
                entries[place][key] = value
    for place in sorted((place for place, _ in there.values()), reverse=True):
        del entries[place]
    if not new:
        del document["overrides"]


def _same(one: Selector, other: Selector) -> bool:
    """Tell whether two selectors mean the same; the order of overrides means nothing."""
    return _ordered(one) == _ordered(other)


def _ordered(selector: Selector) -> Selector:
    return msgspec.structs.replace(selector, overrides=tuple(sorted(selector.overrides, key=lambda one: one.device)))
