"""What stops the supervisor or a command, in words for the person at the keyboard.

Whatever can go wrong outside is translated into one of these at the place where it is seen; the command line prints
`agt: what is wrong; what to do` and nothing else.
"""


class SupervisorError(Exception):
    """Root of everything that `agt.supervisor` raises on purpose: what is wrong, and what to do about it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}; {hint}" if hint else what)
        self.what, self.hint = what, hint


class RunDirectoryError(SupervisorError):
    """Raised when the run directory can't be used: wrong owner, wrong mode, path too long."""


class AlreadyRunning(SupervisorError):
    """Raised when another supervisor holds this run directory."""


class ComponentsInvalid(SupervisorError):
    """Raised when the components of a plan contradict each other; carries all problems at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("the components can't be started: " + "; ".join(problems), "mend the plan's [[component]]")
        self.problems = problems


class LockHeld(SupervisorError):
    """Raised when a component's lock is held by a process that its record doesn't describe."""
