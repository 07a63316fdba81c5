"""Two JSON values, place by place: defined for every number, text and depth that an answer can hold."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.parity import Tolerance, differences, relative_delta
from agt.router.parity._json import parse_json, parse_json_lines, plain
from agt.router.parity._numbers import within
from agt.router.parity._values import ABSENT, DEPTH_MAX, TooDeep, shown

few = settings(max_examples=40)

HUGE = 10**400
NAN, INF = math.nan, math.inf

numbers = st.one_of(st.floats(), st.integers(), st.integers(min_value=-HUGE, max_value=HUGE))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


def places(control: Any, candidate: Any) -> set[str]:
    """Where two values differ."""
    return {leaf.field for leaf in differences(control, candidate)}


@pytest.mark.parametrize(
    ("control", "candidate", "delta"),
    [
        (100, 102.3, pytest.approx(0.023)),
        (-1.0, 1.0, 2.0),
        (0, 0.0, 0.0),
        (0, 1e-300, INF),
        (1, 1.0, 0.0),
        (NAN, NAN, 0.0),
        (NAN, 1.0, INF),
        (1.0, NAN, INF),
        (INF, INF, 0.0),
        (INF, -INF, INF),
        (INF, 1.0, INF),
        (1e308, -1e308, 2.0),
        (5e-324, 1e308, INF),
        (HUGE, 2 * HUGE, 1.0),
        (1.0, HUGE, INF),
        (HUGE, INF, INF),
    ],
)
def test_a_relative_delta_is_defined_for_every_pair(control: float, candidate: float, delta: float) -> None:
    """Division by zero, overflow and what isn't finite included; never `nan`."""
    assert relative_delta(control, candidate) == delta


@few
@given(numbers, numbers)
def test_a_delta_is_zero_exactly_for_the_same_number(one: float, other: float) -> None:
    """No difference of two unlike numbers rounds away, unless it is below what a float can say."""
    delta = relative_delta(one, other)
    assert delta >= 0
    assert relative_delta(one, one) == 0
    if one == other:
        assert delta == 0


@few
@given(numbers, numbers, st.floats(min_value=0, allow_nan=False), st.floats(min_value=0, max_value=2))
def test_tolerance_does_not_depend_on_the_side(one: float, other: float, absolute: float, relative: float) -> None:
    """Near is near, whichever of the two is called control."""
    tolerance = Tolerance(absolute=absolute, relative=relative)
    assert within(one, other, tolerance) == within(other, one, tolerance)
    assert within(one, one, tolerance)


def test_a_tolerance_is_met_at_its_border() -> None:
    """A tenth is a tenth as it was written, not the nearest binary number; beyond it is beyond."""
    assert within(1.0, 1.5, Tolerance(absolute=0.5))
    assert not within(1.0, 1.51, Tolerance(absolute=0.5))
    assert within(9, 10, Tolerance(relative=0.1))
    assert not within(8.99, 10, Tolerance(relative=0.1))
    assert not within(INF, 1.0, Tolerance(absolute=INF))


@few
@given(values)
def test_a_value_equals_itself(value: Any) -> None:
    """Whatever it holds, `nan` too."""
    assert places(value, value) == set()


@few
@given(values, values)
def test_swapping_the_sides_changes_no_place(one: Any, other: Any) -> None:
    """What differs differs from either side."""
    assert places(one, other) == places(other, one)


@few
@given(values)
def test_what_is_shown_is_one_printable_line(value: Any) -> None:
    """Half characters, line ends and megabytes would break the report that shows them."""
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= 120
    assert msgspec.json.encode(text)


@pytest.mark.parametrize(
    ("control", "candidate", "where"),
    [
        ({"a": 1}, {"a": True}, {"a"}),
        ({"a": None}, {}, {"a"}),
        ({"a": {}}, {"a": []}, {"a"}),
        ("1", 1, {""}),
        ("é", "e\u0301", {""}),
        ({"a": [1, 2]}, {"a": [1]}, {"a.1"}),
        ({"a.b": 1}, {"a": {"b": 1}}, {'"a.b"', "a"}),
        ({"a": "\ud800"}, {"a": "\udfff"}, {"a"}),
    ],
)
def test_kinds_of_values_are_kept_apart(control: Any, candidate: Any, where: set[str]) -> None:
    """True is not 1, absent is not null, and text is compared by code points."""
    assert places(control, candidate) == where


def test_a_value_that_is_too_deep_is_refused() -> None:
    """One level less is compared."""
    deep: Any = 1
    for _ in range(DEPTH_MAX):
        deep = [deep]
    assert places(deep, deep) == set()
    with pytest.raises(TooDeep, match="deeper than 64"):
        places([deep], [deep])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "is no JSON: Expecting property name"),
        (b"\xff", "is no UTF-8 at byte 0"),
        (b'{"a": 1, "a": 2}', "has the name 'a' twice"),
        (b"[" * 200_000, "is nested too deeply"),
        (b"9" * 5000, "more than 4300 digits"),
        (b"", "is no JSON"),
    ],
)
def test_what_is_no_json_is_refused_in_words(data: bytes, says: str) -> None:
    """A name that stands twice would mean different things to different readers."""
    with pytest.raises(ValueError, match=says):
        parse_json(data)


def test_json_is_read_as_other_programs_write_it() -> None:
    """`NaN`, `Infinity`, huge numbers, a byte order mark."""
    assert math.isnan(parse_json(b"NaN"))
    assert parse_json(b"[-Infinity, 1e999, 12345678901234567890123]") == [-INF, INF, 12345678901234567890123]
    assert parse_json(b"\xef\xbb\xbf[]") == []


def test_lines_are_named_where_they_are_wrong() -> None:
    """Empty lines pass, too many don't."""
    assert parse_json_lines(b'1\n\n{"a": 2}\r\n', lines_max=2) == [1, {"a": 2}]
    with pytest.raises(ValueError, match="line 2"):
        parse_json_lines(b"1\n{\n", lines_max=9)
    with pytest.raises(ValueError, match="more than 2 lines"):
        parse_json_lines(b"1\n2\n3\n", lines_max=2)


def test_python_values_become_plain_or_are_refused() -> None:
    """A struct is an object; what holds itself, or a set of nothing known, is no JSON."""
    assert plain(Tolerance(absolute=1.0)) == {"absolute": 1.0, "relative": 0.0}
    assert plain({1: (2,)}) == {"1": [2]}
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="holds itself"):
        plain(endless)
    with pytest.raises(ValueError, match="no JSON"):
        plain(object())


def test_absent_is_no_value() -> None:
    """It is shown as such."""
    assert shown(ABSENT) == "(absent)"
