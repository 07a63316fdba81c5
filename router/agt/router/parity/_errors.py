"""What can be wrong with what was asked for: a source, a parity file, a suite."""

from agt.router._errors import RouterError
from agt.router._problem import Problem


class ParityInvalid(RouterError):
    """Raised when a comparison can't be set up as written; it carries every problem, not only the first."""

    def __init__(self, problems: tuple[Problem, ...], origin: str) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{origin} has {len(problems)} problem{'s' if len(problems) != 1 else ''}:{lines}")
        self.problems, self.origin = problems, origin
