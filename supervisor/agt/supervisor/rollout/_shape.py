"""The first pass over a plan: whether every key is known and every value has its type.

msgspec stops at the first problem; an operator wants them all. So tables are walked here key by key, each value
is converted by msgspec alone, and what it says is kept with the key path and the nearest valid name.
"""

import difflib
import enum
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from agt.supervisor.rollout._durations import parse_duration

_DURATION: Final = re.compile(r"(^|\.)(soak|checks_every|window|short_window|every|timeout|max_age|within)$")
"""Keys whose text is a duration."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a plan."""

    path: str
    """Where: `phase[2].gate[0].metric`."""
    says: str
    hint: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.path or 'the plan'}: {self.says}" + (f"; {self.hint}" if self.hint else "")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the nearest known name, or what is known when nothing is near."""
    names = sorted(known)
    if close := difflib.get_close_matches(word, names, n=1, cutoff=0.6):
        return f"did you mean {close[0]!r}?"
    words = {part for part in re.split(r"\W|_", word.lower()) if len(part) > 2}
    if shared := [name for name in names if words & set(re.split(r"\W|_", name))]:
        return f"did you mean {shared[0]!r}?"
    return f"known are {', '.join(names)}" if 0 < len(names) <= 16 else ""


def shape_problems(value: object, kind: Any, path: str = "") -> list[Problem]:
    """Return everything in `value` (as tomllib gives it) that does not fit the type `kind`."""
    if struct := _struct_of(kind):
        return _table_problems(value, struct, path)
    if (item := _item_of(kind)) is not None and _struct_of(item):
        if not isinstance(value, list):
            return [Problem(path, f"expected an array of tables, got {type(value).__name__}", f"write [[{path}]]")]
        found = [
            problem for index, one in enumerate(value) for problem in shape_problems(one, item, f"{path}[{index}]")
        ]
        return found or _value_problems(value, kind, path)
    return _value_problems(value, kind, path)


def _table_problems(value: object, struct: type[msgspec.Struct], path: str) -> list[Problem]:
    if not isinstance(value, dict):
        return [Problem(path, f"expected a table, got {type(value).__name__}")]
    fields = _fields(struct)
    found = [
        Problem(_join(path, key), "unknown key", nearest(key, fields)) for key in sorted(value) if key not in fields
    ]
    for name, field in fields.items():
        if name in value:
            found += shape_problems(value[name], field.type, _join(path, name))
        elif field.required:
            found.append(Problem(_join(path, name), "is missing"))
    return found


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return a table's fields by name; working them out costs more than a whole plan does."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _value_problems(value: object, kind: Any, path: str) -> list[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        says, _, inner = str(error).partition(" - at `$")
        says = says[:1].lower() + says[1:]
        where = path + inner.rstrip("`")
        return [Problem(where, says.replace("`float | null`", "a number"), _hint(value, kind, where))]
    return []


def _hint(value: object, kind: Any, path: str) -> str:
    """Return what to write instead, where that can be told."""
    kind = _bare(kind)
    if isinstance(value, dict):
        return _tag_hint(value, kind)
    if isinstance(value, str):
        return _number_hint(value) if kind in (float, int) else nearest_of(value, kind)
    if isinstance(value, int | float) and kind is str and _DURATION.search(path):
        return f'a duration is text with its unit, such as "{value}d" or "{value}m"'
    return ""


def nearest_of(value: str, kind: Any) -> str:
    """Return the nearest of the words that a type allows; nothing where it allows any."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return nearest(value, [str(one.value) for one in kind])
    return nearest(value, words) if (words := [one for one in typing.get_args(kind) if isinstance(one, str)]) else ""


def _tag_hint(value: dict[str, Any], kind: Any) -> str:
    """Return the nearest kind of table where one of several was meant, by the key that says which."""
    structs = [one for one in typing.get_args(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    tags = {str(one.__struct_config__.tag): one for one in structs if one.__struct_config__.tag is not None}
    field = next((one.__struct_config__.tag_field for one in tags.values()), None)
    given = value.get(field) if field is not None else None
    if given in tags:
        known = tags[given].__struct_fields__
        return " ".join(nearest(key, known) for key in value if key not in (*known, field))
    if isinstance(given, str):
        return nearest(given, tags)
    return f"say which: {field} = {' or '.join(sorted(tags))}" if tags else ""


def _number_hint(text: str) -> str:
    """Return a number that was written as text or as a duration, as the number that it has to be."""
    try:
        return f"without quotes: {float(text):g}"
    except ValueError:
        pass
    try:
        return f"seconds, without unit and quotes: {parse_duration(text):g}"
    except ValueError:
        return ""


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the plain struct that `kind` is; tagged ones are left to msgspec, which knows their tags."""
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.tag is None:
        return kind
    return None


def _item_of(kind: Any) -> Any:
    kind = _bare(kind)
    arguments = typing.get_args(kind)
    return arguments[0] if typing.get_origin(kind) is tuple and arguments else None


def _bare(kind: Any) -> Any:
    """Take `Annotated` and `| None` off."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        rest = [one for one in typing.get_args(kind) if one is not type(None)]
        if len(rest) == 1:
            return _bare(rest[0])
    return kind


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
