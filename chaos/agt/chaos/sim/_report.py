"""What one run of a world showed, whichever kind of world it was."""

from collections.abc import Mapping

import msgspec


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run showed."""

    seed: int
    profile: msgspec.Struct
    broken: str
    """The promise that was broken and how; empty when all held."""
    outcomes: dict[str, int]
    events: int
    """Steps of the world."""
    virtual_s: float
    trace: tuple[str, ...]
    overrides: dict[str, str] = {}
    """Fields of the profile that were set by hand."""
    kind: str = "links"
    """Which kind of world it was."""

    @property
    def replay(self) -> str:
        """The command that shows this run again."""
        return replay_command(self.seed, self.overrides, self.kind)

    def summary(self) -> str:
        """Return the run in a few lines, its replay command last."""
        rates = {name: value for name, value in msgspec.to_builtins(self.profile).items() if value}
        told = ", ".join(f"{count} {word}" for word, count in self.outcomes.items())
        return "\n".join(
            (
                f"seed {self.seed}: {'BROKEN: ' + self.broken if self.broken else 'all promises held'}",
                "profile " + " ".join(f"{name}={_short(value)}" for name, value in rates.items()),
                f"{told}; {self.events} events, {self.virtual_s:.1f} virtual seconds",
                f"replay: {self.replay}",
            )
        )


def replay_command(seed: int, overrides: Mapping[str, str], kind: str = "links") -> str:
    """Return the command that shows a run again."""
    world = "" if kind == "links" else f" --world {kind}"
    settings = "".join(f" --set {name}={value}" for name, value in overrides.items())
    return f"agt chaos sim{world} --seed {seed}{settings} --trace"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
