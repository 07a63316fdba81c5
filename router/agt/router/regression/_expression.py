"""Invariants as expressions: a small, safe part of Python's own syntax, with limits on size, steps and numbers.

`0 <= output.score <= 1`, `len(output.items) == output.count`, `all(item.price >= 0 for item in output.items)`.
Names are `output`, `request` and `seed`; a dot reaches into objects and never into Python. There are comparisons,
`and`, `or`, `not`, `in`, arithmetic on numbers, conditional expressions, comprehensions and the functions of
`FUNCTIONS`.
"""

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

EXPRESSION_MAX: Final = 1000
"""Characters of an expression."""
NODES_MAX: Final = 300
"""Parts that an expression may have."""
STEPS_MAX: Final = 200_000
"""Evaluations of a part, so that no loop over large outputs runs on and on."""
BITS_MAX: Final = 4096
"""Bits of an integer that arithmetic may make."""
NAMES: Final = ("output", "request", "seed")


class ExpressionWrong(ValueError):
    """Raised when an expression isn't one of ours; says which part."""


class CannotTell(Exception):
    """Raised when an expression has no answer for a value: a field that isn't there, text minus a number."""


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _round(value: float, digits: int = 0) -> float:
    if not -20 <= digits <= 20:
        raise CannotTell("rounds to more than 20 digits")
    return round(value, digits)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "is_finite": _is_finite,
    "len": len,
    "max": max,
    "min": min,
    "round": _round,
    "set": frozenset,
    "sorted": sorted,
    "sum": sum,
}
"""What an expression may call; all are plain functions of values."""

_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_LEAVES: Final = (ast.Name, ast.Constant, ast.Load, ast.Store, *_COMPARE, *_ARITHMETIC, ast.And, ast.Or)
_PARTS: Final = (
    *(ast.Expression, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.IfExp, ast.Call, ast.Attribute),
    *(ast.Subscript, ast.List, ast.Tuple, ast.GeneratorExp, ast.ListComp, ast.comprehension),
    *(ast.Not, ast.USub, ast.UAdd, *_LEAVES),
)


class Expression:
    """One expression, read once and asked often."""

    def __init__(self, text: str) -> None:
        self.text = text
        """As it was written."""
        self._tree = _read(text)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it is true of some values, by name.

        Raises:
            CannotTell: when it has no answer for them.
        """
        try:
            return bool(_Evaluation(values).of(self._tree))
        except CannotTell:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise CannotTell(str(error)[:200] or type(error).__name__) from None


def parse_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        ExpressionWrong: when it isn't one, or uses what isn't allowed.
    """
    return Expression(text)


def _read(text: str) -> ast.expr:
    if len(text) > EXPRESSION_MAX:
        raise ExpressionWrong(f"is longer than {EXPRESSION_MAX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of escapes that Python is about to drop; they are text to us.
            tree = ast.parse(text.strip(), mode="eval")
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        says = error.msg if isinstance(error, SyntaxError) else "nested too deeply or no text"
        raise ExpressionWrong(f"is no expression: {says}") from None
    if len(nodes) > NODES_MAX:
        raise ExpressionWrong(f"has more than {NODES_MAX} parts")
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        _check(node, bound)
    return tree.body


def _check(node: ast.AST, bound: set[str]) -> None:
    if not isinstance(node, _PARTS):
        raise ExpressionWrong(f"uses {type(node).__name__}, which expressions don't have")
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in {*NAMES, *bound, *FUNCTIONS}:
        raise ExpressionWrong(f"knows no {node.id}; there are {', '.join(NAMES)} and {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in {*NAMES, *FUNCTIONS}:
        raise ExpressionWrong(f"takes {node.id} as the name of a loop")
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            raise ExpressionWrong(f"calls what it may not; there are {', '.join(FUNCTIONS)}")
        if node.keywords or len(node.args) > 3 or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise ExpressionWrong(f"calls {node.func.id} with more than plain values")
    if isinstance(node, ast.comprehension) and (node.is_async or not isinstance(node.target, ast.Name)):
        raise ExpressionWrong("has a loop over more than one name")
    if isinstance(node, ast.Constant) and not (node.value is None or isinstance(node.value, bool | int | float | str)):
        raise ExpressionWrong("holds a constant that JSON doesn't have")
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        raise ExpressionWrong("uses slices, which expressions don't have")


class _Evaluation:
    """One run over one set of values."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self._steps = 0

    def of(self, node: ast.expr) -> Any:
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise CannotTell(f"takes more than {STEPS_MAX} steps")
        found = getattr(self, f"_{type(node).__name__.lower()}")(node)
        if isinstance(found, int) and found.bit_length() > BITS_MAX:
            raise CannotTell(f"comes to a number of more than {BITS_MAX} bits")
        return found

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._values:
            return self._values[node.id]
        raise CannotTell(f"has no {node.id}")

    def _attribute(self, node: ast.Attribute) -> Any:
        return _member(self.of(node.value), node.attr)

    def _subscript(self, node: ast.Subscript) -> Any:
        return _member(self.of(node.value), self.of(node.slice))

    def _list(self, node: ast.List) -> Any:
        return [self.of(element) for element in node.elts]

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.of(element) for element in node.elts)

    def _boolop(self, node: ast.BoolOp) -> Any:
        results = (self.of(value) for value in node.values)
        return all(results) if isinstance(node.op, ast.And) else any(results)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.of(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        return -_number(value) if isinstance(node.op, ast.USub) else _number(value)

    def _binop(self, node: ast.BinOp) -> Any:
        # Numbers only: text and lists can be multiplied into any amount of memory.
        return _ARITHMETIC[type(node.op)](_number(self.of(node.left)), _number(self.of(node.right)))

    def _compare(self, node: ast.Compare) -> Any:
        left = self.of(node.left)
        for sign, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.of(comparator)
            if not _COMPARE[type(sign)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.of(node.body if self.of(node.test) else node.orelse)

    def _call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name), "checked when it was read"
        return FUNCTIONS[node.func.id](*[self.of(argument) for argument in node.args])

    def _generatorexp(self, node: ast.GeneratorExp) -> Any:
        return list(self._loop(node.generators, node.elt))

    def _listcomp(self, node: ast.ListComp) -> Any:
        return list(self._loop(node.generators, node.elt))

    def _loop(self, generators: list[ast.comprehension], element: ast.expr) -> Iterator[Any]:
        if not generators:
            yield self.of(element)
            return
        first, *rest = generators
        assert isinstance(first.target, ast.Name), "checked when it was read"
        name, before = first.target.id, self._values.get(first.target.id, _NOTHING)
        for value in _items(self.of(first.iter)):
            self._values[name] = value
            if all(self.of(condition) for condition in first.ifs):
                yield from self._loop(rest, element)
        if before is _NOTHING:
            self._values.pop(name, None)
        else:
            self._values[name] = before


_NOTHING: Final = object()


def _member(value: object, name: object) -> Any:
    if isinstance(value, dict) and isinstance(name, str):
        if name in value:
            return value[name]
        raise CannotTell(f"has no field {name[:60]!a}")
    if isinstance(value, list | tuple) and isinstance(name, int):
        if -len(value) <= name < len(value):
            return value[name]
        raise CannotTell(f"has no item {name}")
    raise CannotTell(f"finds no {str(name)[:60]!a} in a {type(value).__name__}")


def _items(value: object) -> list[Any]:
    if isinstance(value, list | tuple | dict | frozenset):
        return list(value)
    raise CannotTell(f"can't go through a {type(value).__name__}")


def _number(value: object) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise CannotTell(f"counts with a {type(value).__name__}")
