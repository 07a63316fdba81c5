"""How far two numbers are apart: defined for every pair, with no overflow, no division by zero and no `nan` answer.

JSON knows integers without limit and, as most programs write it, `NaN` and `Infinity`; both systems under
comparison may answer with any of them.
"""

import math
from fractions import Fraction
from typing import Annotated, TypeGuard

import msgspec
from msgspec import Meta

NotNegative = Annotated[float, Meta(ge=0)]


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far two numbers may be apart and still be equal: either bound is enough."""

    absolute: NotNegative = 0.0
    """In the field's own unit."""
    relative: NotNegative = 0.0
    """A fraction of the larger of the two, 0.01 for 1 %."""


EXACT = Tolerance()


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell numbers from everything else; true and false are no numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_nan(value: float) -> bool:
    """Tell `nan`, also for integers of any size."""
    return isinstance(value, float) and math.isnan(value)


def same_number(one: float, other: float) -> bool:
    """Tell whether two numbers are the same; `nan` is the same as `nan`, and 1 as 1.0."""
    return one == other or (is_nan(one) and is_nan(other))


def within(one: float, other: float, tolerance: Tolerance) -> bool:
    """Tell whether two numbers are the same or near enough; the order of the two doesn't matter.

    What isn't finite is only near itself.
    """
    if same_number(one, other):
        return True
    if tolerance is EXACT or tolerance == EXACT or not (_finite(one) and _finite(other)):
        return False
    apart = abs(_exactly(one) - _exactly(other))
    larger = max(abs(_exactly(one)), abs(_exactly(other)))
    return apart <= _exactly(tolerance.absolute) or apart <= _exactly(tolerance.relative) * larger


def relative_delta(control: float, candidate: float) -> float:
    """Return how far the candidate is from control, as a fraction of control; never `nan`, never negative.

    The same number gives 0, whatever it is. Away from a control of 0, and between a finite number and one that
    isn't, it is infinite: no share of nothing could be said.
    """
    if same_number(control, candidate):
        return 0.0
    if not (_finite(control) and _finite(candidate)) or control == 0:
        return math.inf
    try:
        return float(abs(_exactly(candidate) - _exactly(control)) / abs(_exactly(control)))
    except OverflowError:
        return math.inf


def _finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _exactly(value: float) -> Fraction:
    """A number as it was written: 1.1 is 0.1 above 1, which the nearest binary numbers aren't."""
    if isinstance(value, int):
        return Fraction(value)
    return Fraction(repr(value)) if math.isfinite(value) else Fraction(10) ** 400
