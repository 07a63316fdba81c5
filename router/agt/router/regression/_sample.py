"""What one side answered to one request, and how the seed gets into a request."""

from typing import Any

import msgspec

SEED = "{seed}"


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    value: Any = None
    """The answer's JSON value, or its text."""
    problem: str = ""
    """Why there is no value; empty when there is."""
    reached: bool = True
    """Whether the side answered at all, if only with an error."""
    took_s: float = 0.0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' answers to one request with one seed, as often as it was repeated."""

    request: str
    seed: int
    body: Any = None
    control: tuple[Output, ...]
    candidate: tuple[Output, ...]

    @property
    def label(self) -> str:
        """What reports call it."""
        return f"{self.request}, seed {self.seed}"


def seeded(value: Any, seed: int) -> Any:
    """Return a JSON value with the seed where it says `{seed}`; what is only that becomes the number."""
    if isinstance(value, str):
        return seed if value == SEED else value.replace(SEED, str(seed))
    if isinstance(value, dict):
        return {name: seeded(one, seed) for name, one in value.items()}
    if isinstance(value, list):
        return [seeded(one, seed) for one in value]
    return value
