"""Invariants at work: each is asked about every answer of both sides that it is about, by expression or command."""

from fnmatch import fnmatchcase
from typing import Final

import msgspec

from agt.router.parity._command import CommandSource
from agt.router.parity._source import Call, Limits, SourceFailed
from agt.router.regression._expression import CannotTell, Expression, parse_expression
from agt.router.regression._sample import Output, Sample
from agt.router.regression._suite import Invariant

EXAMPLES_MAX: Final = 5
CHECK_TIMEOUT_S: Final = 10.0
"""Longest run of a command that checks one answer."""


class InvariantTally(msgspec.Struct, kw_only=True):
    """What was seen of one invariant."""

    name: str
    looked: int = 0
    """Answers that it was asked about, of both sides."""
    broken_control: int = 0
    broken_candidate: int = 0
    problem: str = ""
    """Why it couldn't be asked; empty when it could."""
    examples: list[str] = msgspec.field(default_factory=list)


class InvariantChecker:
    """Holds one invariant against samples."""

    def __init__(self, invariant: Invariant) -> None:
        self.tally = InvariantTally(name=invariant.name)
        """What was seen so far."""
        self._requests = invariant.requests
        self._expression: Expression | None = parse_expression(invariant.check) if invariant.check else None
        limits = Limits(timeout_s=CHECK_TIMEOUT_S, max_bytes=1 << 16)
        self._command = CommandSource(invariant.command, limits=limits) if invariant.command else None

    async def look(self, sample: Sample) -> None:
        """Ask about every answer of a sample that has a value."""
        if self.tally.problem or not fnmatchcase(sample.request, self._requests):
            return
        for output in sample.control:
            self.tally.broken_control += await self._breaks(sample, output, "control")
        for output in sample.candidate:
            self.tally.broken_candidate += await self._breaks(sample, output, "candidate")

    async def _breaks(self, sample: Sample, output: Output, side: str) -> bool:
        if output.problem or self.tally.problem:
            return False
        self.tally.looked += 1
        why = await self._why_not(sample, output)
        if why is None or self.tally.problem:
            return False
        if len(self.tally.examples) < EXAMPLES_MAX:
            self.tally.examples.append(f"{side}, {sample.label}: {why or 'is false'}")
        return True

    async def _why_not(self, sample: Sample, output: Output) -> str | None:
        """Return why it doesn't hold; None when it does."""
        values = {"output": output.value, "request": sample.body, "seed": sample.seed}
        if self._expression is not None:
            try:
                return None if self._expression.holds(values) else ""
            except CannotTell as error:
                return str(error)
        assert self._command is not None, "checked when the suite was read"
        try:
            await self._command.ask(Call(name=sample.request, seed=sample.seed, body=values))
        except SourceFailed as error:
            if error.status is None:  # It didn't end by itself: nothing was said about the answer.
                self.tally.problem = str(error)
            return error.says
        return None
