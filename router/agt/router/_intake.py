"""What a look at the selector means for a router: apply it, keep what there is, or send everything to control.

The kill latch lives here. It ends only when a selector is *put there again*: one that appears after the file has been
seen gone, or, where the file could not be taken away, one of a higher generation than the killed one.
"""

from dataclasses import dataclass

from agt.router._problem import Problem
from agt.router._selector import Runtimes, Selector
from agt.router._selector_file import SelectorReading, SelectorState


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do after a look."""

    selector: Selector | None = None
    """To be applied; it also ends a kill."""
    gone: bool = False
    """Whether everything goes to control, since there is no selector."""
    latch: str = ""
    """Why the kill latch holds from now on; empty leaves it as it is."""
    problems: tuple[Problem, ...] = ()
    refusal: str = ""
    """Why what was read is not applied; empty when it is, or when nothing has changed."""


class Intake:
    """Judges looks at the selector, one after the other."""

    def __init__(self, runtimes: Runtimes) -> None:
        self.gone = False
        """Whether the selector has been seen gone since it was last applied."""
        self._runtimes = runtimes
        self._applied: Selector | None = None

    def judge(self, reading: SelectorReading, *, generation: int, killed: str) -> Judgement:
        """Say what a look means, given the applied generation and why the latch holds (empty when it doesn't)."""
        if reading.state is SelectorState.BAD:
            problems = reading.problems or (Problem("", reading.says),)
            return Judgement(problems=problems, refusal=reading.says)
        selector = reading.selector
        if selector is None:
            self.gone = True
            latch = reading.says if reading.state is SelectorState.KILLED and not killed else ""
            return Judgement(gone=True, latch=latch, problems=(Problem("", reading.says),), refusal=reading.says)
        refusal = self._refusal(selector, generation, killed)
        if refusal:
            return Judgement(problems=(Problem("", refusal),), refusal=refusal)
        if not self.gone and selector == self._applied:
            return Judgement()
        self.gone, self._applied = False, selector
        return Judgement(selector=selector)

    def mismatch(self, selector: Selector) -> str:
        """Return why a selector names other runtimes than this router carries; empty when it doesn't."""
        ours, theirs = self._runtimes, selector.runtimes
        if theirs == ours:
            return ""
        return (
            f"names {theirs.control} and {theirs.candidate}, but this router carries "
            f"{ours.control} and {ours.candidate}"
        )

    def _refusal(self, selector: Selector, generation: int, killed: str) -> str:
        mismatch = self.mismatch(selector)
        if mismatch:
            return f"runtimes: {mismatch}"
        if self.gone:
            return ""
        if killed and selector.generation <= generation:
            return f"the kill switch is on ({killed}) and this selector was there before"
        if 0 < selector.generation < generation and selector != self._applied:
            return (
                f"generation {selector.generation} is older than {generation}, which is applied; "
                "raise the number or remove the line"
            )
        return ""
