"""A suite as data: the requests that both sides answer, with which seeds, and what may differ."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agt.router._ignore import IgnoreRule, check_ignore
from agt.router._problem import Problem
from agt.router.regression._expression import ExpressionWrong, parse_expression

CALLS_MAX = 100_000
"""Calls of one side in a run: requests, times seeds, times repeats."""
REQUESTS_MAX = 10_000
Share = Annotated[float, Meta(ge=0, le=1)]
Above = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request. `{seed}` in a text stands for the seed; a text that is only `{seed}` becomes the number."""

    name: str = ""
    """What reports call it; empty: its number."""
    body: Any = msgspec.UNSET
    """Any JSON value: an HTTP body, a command's standard input, a socket's line, a function's argument."""
    method: str = ""
    """HTTP; empty: POST with a body, else GET."""
    path: str = ""
    """HTTP; joined to the side's address."""
    arguments: tuple[str, ...] = ()
    """Commands; added to the side's."""


class AllowedToDiffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the candidate may be from control, `[limits]`; each limit is what must not be reached."""

    mean_delta: Above = 0.05
    """Mean relative delta of each numeric field, 0.05 for 5 %."""
    max_delta: Above = 0.10
    """Largest relative delta of any number."""
    errors: Share = 0.0
    """Share of a side's calls that may fail."""
    determinism: Share | None = None
    """Least share of requests that a side answers alike each time, with equal seeds; needs `repeats = 2` or more."""
    agreement: Share | None = None
    """Least share of requests that both sides answer exactly alike."""
    p95_s: Annotated[float, Meta(gt=0)] | None = None
    """Longest 95th percentile of the candidate's answers, in seconds."""
    latency_ratio: Annotated[float, Meta(gt=0)] | None = None
    """Largest 95th percentile of the candidate beside control's, 2 for twice as long."""


class Invariant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold for every answer on both sides, `[[invariant]]`."""

    name: Name
    check: str = ""
    """An expression of `output`, `request` and `seed`: `0 <= output.score <= 1`."""
    command: tuple[str, ...] = ()
    """Or a command that gets request, seed and output as JSON and ends with 0 when it holds."""
    requests: Annotated[str, Meta(min_length=1)] = "*"
    """Pattern of the requests that it is about."""


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole suite."""

    name: Name = "suite"
    requests: Annotated[tuple[Request, ...], Meta(min_length=1, max_length=REQUESTS_MAX)]
    seeds: Annotated[tuple[int, ...], Meta(min_length=1, max_length=REQUESTS_MAX)] = (0,)
    """Each request is sent once for each; the same on both sides."""
    repeats: Annotated[int, Meta(ge=1, le=100)] = 1
    """Times that each side gets each request with each seed; more than one shows determinism."""
    at_least: Annotated[int, Meta(ge=1)] = 1
    """Comparisons without which the run shows too little."""
    at_once: Annotated[int, Meta(ge=1, le=64)] = 1
    """Requests on their way at a time; more than one makes latencies compete."""
    output: Literal["json", "text"] = "json"
    """What answers are; a text is one category."""
    numbers: tuple[str, ...] = ("*",)
    """Fields whose numbers are compared by delta; other numbers must be equal."""
    categories: tuple[str, ...] = ()
    """Fields that must be equal though they are numbers (a cluster's id). What is no number must be equal anyway."""
    limits: AllowedToDiffer = AllowedToDiffer()
    ignore: tuple[IgnoreRule, ...] = ()
    """Expected differences, each with an owner, a reason and an end; `key` is a request's name."""
    invariants: tuple[Invariant, ...] = ()

    @property
    def calls(self) -> int:
        """Calls that each side gets."""
        return len(self.requests) * len(self.seeds) * self.repeats


def check_suite(suite: Suite) -> Iterator[Problem]:
    """Yield what is wrong with a suite beyond its shape."""
    yield from check_ignore(suite.ignore)
    if suite.calls > CALLS_MAX:
        yield Problem("request", f"makes {suite.calls} calls a side with all seeds and repeats; at most {CALLS_MAX}")
    if suite.limits.determinism is not None and suite.repeats < 2:
        yield Problem("limits.determinism", "needs repeats = 2 or more: one answer alone can't differ from itself")
    names = tuple(request.name for request in suite.requests)
    if len(set(suite.seeds)) != len(suite.seeds):
        yield Problem("seeds", "names a seed twice; repeats = 2 asks twice with each")
    if len(set(names)) != len(names):
        yield Problem("request.name", "names a request twice")
    if not all(name.isprintable() for name in (suite.name, *names)):
        yield Problem("request.name", "must be printable, as the suite's own")
    if suite.at_least > len(suite.requests) * len(suite.seeds):
        yield Problem("at_least", f"is more than the {len(suite.requests) * len(suite.seeds)} comparisons of the suite")
    yield from _check_invariants(suite)


def _check_invariants(suite: Suite) -> Iterator[Problem]:
    for index, invariant in enumerate(suite.invariants):
        key = f"invariant[{index}]"
        if bool(invariant.check) == bool(invariant.command):
            yield Problem(key, "needs either check or command")
        elif invariant.check:
            try:
                parse_expression(invariant.check)
            except ExpressionWrong as error:
                yield Problem(f"{key}.check", str(error))
