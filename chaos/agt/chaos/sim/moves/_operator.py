"""Who changes the route of a router world: advance, lower, cohort, override, rollback, kill and its end.

As the supervisor does it: forward changes are written to the selector first and then told to the router; backward ones
are told first. Before each, the router is asked for a preview; what the change then leaves in doubt is held against it.
"""

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim.moves._gateway import RUNTIMES, SELECTOR, Process
from agt.router import (
    MoveBatch,
    Override,
    Route,
    RouterError,
    Selector,
    SelectorFile,
    SelectorInvalid,
    SelectorKilled,
)

if TYPE_CHECKING:
    from agt.chaos.sim.moves._world import RouterWorld


@dataclass(slots=True)
class Change:
    """One change, what was said before it and what it did."""

    what: str
    gateway: int
    unconfirmed: int
    """What the preview said can't be confirmed, at most."""
    batch: MoveBatch


class Operator:
    """Thinks of changes, and makes them."""

    def __init__(self, world: "RouterWorld") -> None:
        self._world = world
        self._rng = Random(world.draw())
        self._file = SelectorFile(SELECTOR, storage=world.files.mount(lambda _: ""))
        self.changes: list[Change] = []
        """Those that a router has answered with a receipt."""

    def begin(self) -> None:
        """Put the first selector there."""
        self._file.write(Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=0.0)), expected=0)

    def act(self) -> None:
        """Do something, as the profile's dice say."""
        rng, world = self._rng, self._world
        killed = self._file.read().selector is None
        if rng.random() < world.profile.kills:
            if killed:
                self.unkill()
            else:
                self.kill()
            return
        percentage = rng.choice((0.0, 0.0, 50.0, 100.0, 100.0))
        names = sorted(world.devices)
        what = rng.choice(("percentage", "percentage", "cohort", "override"))
        if what == "cohort":
            self.change("cohort", Route(enabled=True, percentage=0.0, cohort=(rng.choice(names),)))
        elif what == "override":
            forced = Override(
                device=rng.choice(names), runtime=rng.choice(("legacy", "reliable")), owner="op", reason="a drill"
            )
            self.change("override", Route(enabled=True, percentage=percentage), overrides=(forced,))
        else:
            self.change(f"{percentage:g} %", Route(enabled=True, percentage=percentage))

    def change(self, what: str, route: Route, *, overrides: tuple[Override, ...] = ()) -> None:
        """Change the route: written first when it goes forward, told first when it goes back."""
        read = self._file.read().selector
        if read is None:
            return  # Killed, or broken: nothing goes forward.
        selector = Selector(runtimes=RUNTIMES, generation=read.generation + 1, runtime=route, overrides=overrides)
        back = (route.percentage or 0.0) <= (read.runtime.percentage or 0.0) and not route.cohort
        if back:
            self._tell(what, selector)
        if self._write(selector, read) and not back:
            self._tell(what, selector)

    def kill(self, *, told: bool = True) -> None:
        """Send everything back at once; without a gateway, or without telling it, by taking the file away."""
        process = self._world.gateway.process
        self._world.trace("operator: kill")
        if process is None or not told:
            if self._file.kill():
                self._world.book.killed()
            return
        process.run(lambda: self._kill(process))

    def unkill(self) -> None:
        """Put a selector back."""
        killed = self._file.killed_selector()
        expected = killed.generation if killed is not None else 0
        self._world.trace("operator: kill ends")
        self._world.book.unkilled()
        fresh = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=0.0))
        try:
            self._file.write(fresh, expected=expected, after_kill=True, force=True)
        except RouterError as error:
            self._world.trace(f"operator: {error!r}")

    def corrupt(self) -> None:
        """Leave a selector that can't be read, for a while."""
        if self._file.read().selector is None:
            return
        whole = bytes(self._world.files.content(SELECTOR))
        self._world.trace("somebody breaks the selector")
        self._world.files.edit(SELECTOR, whole[: self._rng.randrange(len(whole))] + b"[[[")

        def mend() -> None:
            if self._world.files.has(SELECTOR):
                self._world.files.edit(SELECTOR, whole)

        self._world.clock.after(self._rng.uniform(0.1, 3.0), mend)

    def check(self) -> None:
        """Hold that no change left more in doubt than was said before it."""
        for change in self.changes:
            receipt = change.batch.receipt()
            if receipt.indeterminate > change.unconfirmed:
                raise BrokenPromise(
                    "at most what the preview said",
                    f"{change.what} said {change.unconfirmed}, and left {receipt.indeterminate} in doubt",
                )

    def _kill(self, process: Process) -> None:
        everything = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, kill_switch=True))
        said = process.router.preview(everything).unconfirmed
        batch = process.router.kill("a drill")
        if batch.latched:
            self._world.book.killed()
        self.changes.append(Change("kill", process.number, said, batch))

    def _tell(self, what: str, selector: Selector) -> None:
        process = self._world.gateway.process
        if process is None:
            return

        def tell() -> None:
            self._world.trace(f"operator: {what}, generation {selector.generation}")
            try:
                said = process.router.preview(selector).unconfirmed
                batch = process.router.apply(selector)
            except (SelectorKilled, SelectorInvalid) as refusal:
                self._world.trace(f"operator: refused, {refusal!r}")
                return
            self.changes.append(Change(what, process.number, said, batch))

        process.run(tell)

    def _write(self, selector: Selector, read: Selector) -> bool:
        try:
            self._file.write(selector, expected=read.generation, read=read)
        except RouterError as error:
            self._world.trace(f"operator: not written, {error!r}")
            return False
        return True
