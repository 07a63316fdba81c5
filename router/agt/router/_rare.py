"""Attributes that few objects of many have at a time, so that those without pay nothing for them.

The owner has a slot `aside`: None, or a dictionary that is made for the first attribute that differs from its default.
"""

from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar, overload

Value = TypeVar("Value")


class HasAside(Protocol):
    """What has rare attributes."""

    aside: dict[str, Any] | None


class Rare(Generic[Value]):
    """One such attribute; reading it where there is none makes the default, and keeps it if it can be changed."""

    __slots__ = ("_constant", "_default", "_make", "_name")

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._default = make()
        self._constant = self._default is None or isinstance(self._default, (int, float, str))
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, of: None, owner: type) -> Self: ...
    @overload
    def __get__(self, of: HasAside, owner: type) -> Value: ...
    def __get__(self, of: HasAside | None, owner: type) -> Self | Value:
        if of is None:
            return self
        aside = of.aside
        if aside is not None and self._name in aside:
            value: Value = aside[self._name]
            return value
        if self._constant:
            return self._default
        value = self._make()
        self.__set__(of, value)
        return value

    def __set__(self, of: HasAside, value: Value) -> None:
        aside = of.aside
        if self._constant and value == self._default:
            if aside is not None and aside.pop(self._name, None) is not None and not aside:
                of.aside = None
        elif aside is None:
            of.aside = {self._name: value}
        else:
            aside[self._name] = value
