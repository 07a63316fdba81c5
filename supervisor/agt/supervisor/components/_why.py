"""Why a component is as it is: follow what it waits for down to what is the matter. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LINKS_MAX = 64
"""As many as a plan may have components."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one component stands."""

    state: str
    says: str
    """Its own reason; that it waits for others is added here."""


def chain(
    name: str, standings: Mapping[str, Standing], missing: Callable[[str], Sequence[str]]
) -> tuple[tuple[str, Standing], ...]:
    """Return the component and all that it waits for, directly or not: each once, the deepest last.

    Args:
        name: Whom is asked about.
        standings: How everybody stands.
        missing: Returns whom a component waits for now.
    """
    links: list[str] = []

    def follow(one: str) -> None:
        if one in links or len(links) >= LINKS_MAX:
            return
        links.append(one)
        if standings[one].state == "waiting":
            for other in missing(one):
                follow(other)

    follow(name)
    return tuple((one, _with_reason(standings[one], missing(one))) for one in links)


def _with_reason(standing: Standing, waits_for: Sequence[str]) -> Standing:
    if standing.state != "waiting" or not waits_for:
        return standing
    return Standing(standing.state, f"waits for {', '.join(waits_for)}")
