"""Planted bugs: what they are, which promise each one breaks, and who has to catch it.

A checker that has never failed proves nothing. Each mutant patches one thing for one test, and names the check that
catches it: simulated worlds over many seeds (`in_worlds`), or a short story in virtual time. A check must pass without
the bug, or it would prove nothing either. `docs/guides/testing.md` lists them all, and says how to add one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import pytest

from agt.chaos.sim import BrokenPromise, run_seed

Patch = pytest.MonkeyPatch

PROMISES = {
    1: "Every send ends by its deadline; at most once, in order, and `delivered` means processed",
    2: "`processed` and `durable` acknowledgements; nothing lost, nothing applied twice over `kill -9`",
    3: "Duplicates are recognised without a time window; older processes are fenced; the forgetful are told of",
    4: "Holes don't block: what was given up is skipped, and the receiver says whether it had arrived",
    5: "Memory has limits with names",
    6: "The timer follows the round trip; a gap or damage drops the connection and resumes",
    7: "A peer that sends nonsense loses its connection and nothing else happens",
    8: "Under a key nobody unproven is believed, and nothing can be changed on the way; a flood shuts out nobody else",
    9: "A move loses, doubles and misorders nothing but what its barrier leaves in doubt, said before and named after; "
    "one owner for each device, also over a killed gateway",
}
"""The promises of `docs/design.md`, sections 3 and 4, shortened."""

WORLDS = 400
"""Seeds that a mutant gets to break its promise in; most need a handful."""


@dataclass(frozen=True)
class Check:
    """Something that holds, and fails with a planted bug."""

    name: str
    run: Callable[[], None]
    """Raises AssertionError, with `breaks` of its mutants in the text."""
    shown_elsewhere: bool = False
    """Whether another test shows that it holds without a bug (`test_native_seeds` for the worlds)."""


@dataclass(frozen=True)
class Mutant:
    """One planted bug."""

    plant: Callable[[Patch], None]
    """Its docstring says what is wrong."""
    promise: int
    check: Check
    breaks: str
    """Part of what the check says when it fails: each bug must be caught for what it does."""
    wire: str = "native"

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return self.plant.__name__

    @property
    def says(self) -> str:
        """What is wrong, in a sentence."""
        return (self.plant.__doc__ or "").strip()


def story(run: Callable[[], None]) -> Check:
    """Return the check that a function is."""
    return Check(run.__name__, run)


def in_worlds(rule: str) -> Check:
    """Return the check that a rule of the book holds in every simulated world."""
    return Check(f"worlds: {rule}", partial(_hold_in_worlds, rule), shown_elsewhere=True)


def _hold_in_worlds(rule: str, seeds: Iterable[int] = range(WORLDS)) -> None:
    seen: set[str] = set()
    for seed in seeds:
        report = run_seed(seed)
        if report.broken.startswith(rule):
            assert f"--seed {seed} --trace" in report.summary(), "whoever breaks it must be able to see it again"
            raise BrokenPromise(rule, report.broken.partition(": ")[2])
        seen.add(report.broken.partition(":")[0])
    seen.discard("")
    assert not seen, f"other promises were broken: {sorted(seen)}"
