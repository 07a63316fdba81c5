"""Two JSON values compared, place by place.

Defined for everything that JSON can hold: numbers by tolerance (`nan` equals `nan`, 1 equals 1.0), true is not 1,
text by code points (no normalisation: a candidate that spells "é" another way differs), absent is not null, and
lists by position. Depth and number of differences have limits, so that no answer can exhaust the comparer.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from agt.router._ignore import field_path
from agt.router.parity._numbers import EXACT, Tolerance, is_number, relative_delta, within

DEPTH_MAX: Final = 64
"""Levels of nesting that are compared; a deeper value is refused."""
SHOWN_MAX: Final = 120
"""Characters of a value that are shown."""

Step = str | int
ToleranceOf = Callable[[str], Tolerance]


class Absent:
    """The value of what isn't there, which is not null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = Absent()


class TooDeep(ValueError):
    """Raised when a value is nested deeper than `DEPTH_MAX` levels."""

    def __init__(self) -> None:
        super().__init__(f"is nested deeper than {DEPTH_MAX} levels")


class ValueDifference(msgspec.Struct, frozen=True):
    """One place in two values."""

    path: tuple[Step, ...]
    """Names and list positions on the way to it; empty for the value itself."""
    control: object
    """What control has there, or `ABSENT`."""
    candidate: object
    """What the candidate has there, or `ABSENT`."""

    @property
    def field(self) -> str:
        """The path as people and rules write it, `items.3.price`."""
        return field_path(self.path)

    @property
    def delta(self) -> float | None:
        """How far the candidate's number is from control's, as a fraction; None unless both are numbers."""
        if is_number(self.control) and is_number(self.candidate):
            return relative_delta(self.control, self.candidate)
        return None

    def same(self, tolerance_of: "ToleranceOf") -> bool:
        """Tell whether the two agree; numbers within the field's tolerance do."""
        if is_number(self.control) and is_number(self.candidate):
            # The same number is by far the commonest answer, and needs no path.
            return self.control == self.candidate or within(self.control, self.candidate, tolerance_of(self.field))
        return type(self.control) is type(self.candidate) and self.control == self.candidate


def exact(_: str) -> Tolerance:
    """Allow no number to differ, in any field."""
    return EXACT


def leaves(control: object, candidate: object, path: tuple[Step, ...] = ()) -> Iterator[ValueDifference]:
    """Yield what two values have at each place where they can't be followed further together, equal or not.

    Raises:
        TooDeep: when a value is nested too deeply.
    """
    if len(path) > DEPTH_MAX:
        raise TooDeep
    if isinstance(control, dict) and isinstance(candidate, dict):
        for name in [*control, *(name for name in candidate if name not in control)]:
            yield from leaves(control.get(name, ABSENT), candidate.get(name, ABSENT), (*path, str(name)))
    elif isinstance(control, list) and isinstance(candidate, list):
        for index in range(max(len(control), len(candidate))):
            one = control[index] if index < len(control) else ABSENT
            other = candidate[index] if index < len(candidate) else ABSENT
            yield from leaves(one, other, (*path, index))
    else:
        yield ValueDifference(path, control, candidate)


def differences(
    control: object, candidate: object, *, tolerance_of: ToleranceOf = exact, path: tuple[Step, ...] = ()
) -> Iterator[ValueDifference]:
    """Yield every place where two values differ, in the order of control's fields.

    Raises:
        TooDeep: when a value is nested too deeply.
    """
    return (leaf for leaf in leaves(control, candidate, path) if not leaf.same(tolerance_of))


def shown(value: object) -> str:
    """Return a value in one printable line, cut where it is long."""
    text = _text(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 3]}..."


def _text(value: object) -> str:
    if isinstance(value, Absent):
        return repr(value)
    if isinstance(value, str):
        text = value[: SHOWN_MAX * 2]
        # Lone surrogates, control characters and line ends would break the terminal or the table.
        return text if text.isprintable() and text and text.strip() == text else ascii(text)
    if isinstance(value, dict):
        return f"object of {len(value)} ({', '.join(shown(name) for name in [*value][:5])})"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 400:
        return f"a number of {value.bit_length()} bits"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
