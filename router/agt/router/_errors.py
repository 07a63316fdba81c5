"""What can go wrong in the router, one branch per culprit: the selector, its writers, a bug of ours.

Errors keep their facts as attributes, so that the control API can answer with them.
"""

from agt.router._problem import Problem


class RouterError(Exception):
    """Root of everything that `agt.router` raises on purpose."""


class SelectorInvalid(RouterError):
    """Raised when a selector can't be used; it carries every problem, not only the first."""

    def __init__(self, problems: tuple[Problem, ...], origin: str = "selector") -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{origin} has {len(problems)} problem{'s' if len(problems) != 1 else ''}:{lines}")
        self.problems, self.origin = problems, origin


class GenerationConflict(RouterError):
    """Raised when somebody else wrote the selector first; read it again and decide anew."""

    def __init__(self, expected: int, found: int) -> None:
        by_hand = "" if found != expected else ", but was edited by hand since it was read"
        wrong = "" if found == expected else f", not {expected}"
        super().__init__(f"selector is at generation {found}{wrong}{by_hand}; read it again and decide anew")
        self.expected, self.found = expected, found


class SelectorKilled(RouterError):
    """Raised when a selector would be written over the kill latch; only `after_kill=True` may."""

    def __init__(self, where: str) -> None:
        super().__init__(f"kill switch is on ({where}); an operator ends it with `agt kill-switch off`")
        self.where = where


class SelectorUnwritable(RouterError):
    """Raised when the disk refused the selector (full, read-only, no permission); the old one still stands."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"cannot write {where}: {why}; nothing was changed")
        self.where, self.why = where, why


class CommentsWouldGo(RouterError):
    """Raised when a write would drop what somebody wrote around the values; nothing was changed."""

    def __init__(self, where: str, count: int, why: str) -> None:
        lines = f"{count} comment{'s' if count != 1 else ''}"
        super().__init__(
            f"{where} has {lines} that a write would drop, because {why}; take them out, or move the file aside "
            "and let it be written anew"
        )
        self.where, self.count, self.why = where, count, why


class MoveRefused(RouterError):
    """Raised when a move is asked to do what its table doesn't know; only a bug can cause it."""

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"a device that is {state} can't take {event}")
        self.state, self.event = state, event


class RestartRefused(RouterError):
    """Raised when an order to restart sessions was thought of under another selector; nothing was done."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"selector is at generation {found}, not {expected}; list the sessions again and decide anew")
        self.expected, self.found = expected, found


class SocketUnusable(RouterError):
    """Raised when the router's own socket can't be opened: path too long, in use, or not ours."""
