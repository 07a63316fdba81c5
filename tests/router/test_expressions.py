"""Invariants as expressions: what they say, and that nothing else can be reached or exhausted through them."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.regression import CannotTell, ExpressionWrong, parse_expression
from agt.router.regression._expression import EXPRESSION_MAX

few = settings(max_examples=40)

OUTPUT = {
    "score": 0.25,
    "count": 2,
    "items": [{"price": 1, "name": "a"}, {"price": 3, "name": "b"}],
    "segment": "new",
    "none": None,
    "nan": math.nan,
    "a b": 1,
}


def holds(text: str, output: Any = OUTPUT) -> bool:
    """Ask about an output."""
    return parse_expression(text).holds({"output": output, "request": {"age": 25}, "seed": 7})


@pytest.mark.parametrize(
    "text",
    [
        "0 <= output.score <= 1",
        "len(output.items) == output.count",
        "all(item.price > 0 for item in output.items)",
        "any(item.price > 2 for item in output['items'] if item.name != 'a')",
        "sum(item.price for item in output.items) == 4",
        "output.segment in ('new', 'old') and not output.none",
        "output.none is None",
        "'score' in output and 'other' not in output",
        "request.age == 25 and seed % 7 == 0",
        "output.items[-1].name == 'b'",
        "output['a b'] == 1",
        "round(output.score * 100) == 25 and abs(-1) == +1",
        "not is_finite(output.nan) and is_finite(output.score)",
        "(1 if output.score > 1 else 2) == 2",
        "len([x for item in output.items for x in (item.price, item.name)]) == 4",
        "set(item.name for item in output.items) == set(['a', 'b'])",
        "sorted([3, 1]) == [1, 3] and max(1, 2) == 2 and min([1, 2]) == 1",
    ],
)
def test_expressions_that_hold(text: str) -> None:
    """The whole language by example."""
    assert holds(text) is True


def test_an_expression_can_be_false() -> None:
    """Which is no error."""
    assert holds("output.score > 1") is False


@pytest.mark.parametrize(
    "text",
    [
        "output.missing == 1",
        "output.items.price > 0",
        "output.items[5].price",
        "output.segment + 1 > 0",
        "'x' * 3 == 'xxx'",
        "output.score < output.segment",
        "1 / (output.count - 2)",
        "all(x for x in output.score)",
        "len(output.score)",
        "x == 1 or any(x for x in output.items)",
        "round(5, -1000000000)",
        "min([])",
        "set([output.items])",
    ],
)
def test_what_has_no_answer_says_so(text: str) -> None:
    """A missing field is not false: it is said which."""
    with pytest.raises(CannotTell):
        holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "output.score =",
        "import os",
        "__import__('os').system('x')",
        "open('x')",
        "output.__class__.mro()",
        "(lambda: 1)()",
        "[x := 1]",
        "f'{output}'",
        "2 ** 99999999",
        "b'x' == 1",
        "1j",
        "{1: 2}",
        "output.items[0:1]",
        "len(*output)",
        "sorted(output, key=len)",
        "[output for output in []]",
        "[a for a, b in []]",
        "nothing > 1",
        "await output",
        "...",
        "(" * 400 + "1" + ")" * 400,
        "-" * 900 + "1",
        "1 " + "+ 1" * 300,
        "1" * (EXPRESSION_MAX + 1),
        "\0",
    ],
)
def test_what_is_no_expression_of_ours_is_refused(text: str) -> None:
    """When it is read, before anything is evaluated."""
    with pytest.raises(ExpressionWrong):
        parse_expression(text)


def test_a_dot_reaches_into_objects_and_never_into_python() -> None:
    """A field may even be called `__class__`; the class stays out of reach."""
    assert holds("output.__class__ == 'a'", {"__class__": "a"})
    with pytest.raises(CannotTell, match="has no field"):
        holds("output.__class__")
    with pytest.raises(CannotTell):
        holds("seed.real == 7")


def test_loops_and_numbers_have_limits() -> None:
    """A thousand by a thousand items are too many steps; numbers stop at 4096 bits."""
    many = list(range(1000))
    with pytest.raises(CannotTell, match="more than 200000 steps"):
        holds("all(a == a for a in output for b in output)", many)
    with pytest.raises(CannotTell, match="bits"):
        holds("output * output > 0", 1 << 4000)


@few
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised."""
    try:
        assert holds(text) in {True, False}
    except (ExpressionWrong, CannotTell) as error:
        told = str(error)
        assert told
