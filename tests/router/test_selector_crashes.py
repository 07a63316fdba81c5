"""The selector on a simulated disk: a writer dies at any of its steps, and a kill comes at any of them."""

import contextlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from agt.chaos.sim.moves._files import FATES, Fate, Files, Killed
from agt.router import Route, RouterError, Runtimes, Selector, SelectorFile
from agt.router._selector_file import SelectorState

PATH = Path("/run/selector.toml")
NAMES = Runtimes(control="legacy", candidate="reliable")
STEPS = range(1, 7)
"""More than any write takes."""


def selector(percentage: float) -> Selector:
    """A selector at a share."""
    return Selector(runtimes=NAMES, runtime=Route(enabled=True, percentage=percentage))


def a_file() -> tuple[Files, SelectorFile]:
    """A folder with a selector at 25 %, generation 1, and somebody who reads it."""
    files = Files()
    reader = SelectorFile(PATH, storage=files.mount(lambda _: ""))
    reader.write(selector(25.0), expected=0)
    return files, reader


def dying(at: int, fate: Fate, meanwhile: Callable[[int], None] = lambda _: None) -> Callable[[str], Fate]:
    """A process's fate: to die at a step, with something else happening before each."""
    taken = 0

    def ask(_: str) -> Fate:
        nonlocal taken
        taken += 1
        meanwhile(taken)
        return fate if taken == at else ""

    return ask


def test_a_writer_that_dies_leaves_the_old_selector_or_the_new_one() -> None:
    """Never half of one, whatever its step, and the next writer goes on from what is there."""
    for at, fate in product(STEPS, FATES):
        die_while_writing(at, fate)


def die_while_writing(at: int, fate: Fate) -> None:
    """One case of it."""
    files, reader = a_file()
    writer = SelectorFile(PATH, storage=files.mount(dying(at, fate)))
    try:
        writer.write(selector(50.0), expected=1)
    except Killed:
        files.lose_power()
    found = reader.read()
    assert found.state is SelectorState.OK, found.says
    assert found.selector is not None
    assert (found.selector.generation, found.selector.runtime.percentage) in {(1, 25.0), (2, 50.0)}
    assert reader.write(selector(75.0), expected=found.selector.generation).runtime.percentage == 75.0


def test_a_kill_wins_over_a_writer_that_dies() -> None:
    """Whenever the kill comes and wherever the writer dies, what is confirmed holds until an operator ends it."""
    assert sum(kill_while_writing(*case) for case in product(STEPS, STEPS, FATES)) > 20, "most come too late"


def kill_while_writing(kill_at: int, at: int, fate: Fate) -> bool:
    """One case of it; false when the kill would have come after the end."""
    files, reader = a_file()
    latched: list[bool] = []

    def kill(step: int) -> None:
        if step == kill_at:
            latched.append(SelectorFile(PATH, storage=files.mount(lambda _: "")).kill())

    writer = SelectorFile(PATH, storage=files.mount(dying(at, fate, kill)))
    with contextlib.suppress(Killed, RouterError):
        writer.write(selector(50.0), expected=1)
    if not latched:  # The write was over, or its writer dead, before the kill came.
        return False
    assert reader.read().state is SelectorState.KILLED
    with pytest.raises(RouterError):
        reader.write(selector(75.0), expected=2)
    killed = reader.killed_selector()
    assert killed is not None
    reader.write(selector(0.0), expected=killed.generation, after_kill=True)
    assert reader.read().state is SelectorState.OK
    return True
