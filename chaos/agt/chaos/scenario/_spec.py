"""A scenario file: traffic, faults on a timeline, and what must hold at the end (TOML)."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from agt.chaos.faults import Fault, make_fault

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
"""The scenarios that come with the package."""

Seconds = Annotated[float, Meta(ge=0)]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


class FaultStep(Strict, frozen=True, kw_only=True):
    """One fault, and when it is in force."""

    kind: str
    """A name of `agt.chaos.faults.FAULTS`."""
    fields: dict[str, float] = {}
    """What the fault itself needs: `{ delay_s = 0.5 }`."""
    probability: Annotated[float, Meta(gt=0, le=1)] = 1.0
    direction: Literal["both", "to_receiver", "to_sender"] = "both"
    at_s: Seconds = 0.0
    for_s: Annotated[float, Meta(gt=0)] | None = None
    """Absent means to the end."""

    def make(self) -> Fault:
        """Make the fault.

        Raises:
            ValueError: when kind or fields are wrong.
        """
        return make_fault(self.kind, **self.fields)


class KillStep(Strict, frozen=True, kw_only=True):
    """The receiver's process is killed without a warning, and started again."""

    at_s: Seconds
    down_s: Seconds = 0.2


class Expect(Strict, frozen=True, kw_only=True):
    """What must hold at the end, beside that nothing is lost, doubled, misordered or untrue."""

    indeterminate_at_most: Annotated[int, Meta(ge=0)] = 0
    not_delivered_at_most: Annotated[int, Meta(ge=0)] = 0
    struck_at_least: Annotated[int, Meta(ge=0)] = 0
    """Frames that faults must have struck, so that a scenario can't pass by not happening."""


class Scenario(Strict, frozen=True, kw_only=True):
    """One whole scenario."""

    schema: Literal[1]
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    says: str
    """What it is about, in a sentence."""
    seed: int = 1
    senders: Annotated[int, Meta(ge=1, le=100)] = 2
    messages: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """Over all senders."""
    rate: Annotated[float, Meta(gt=0)] = 200.0
    """Messages a second over all senders."""
    deadline_s: Annotated[float, Meta(gt=0)] = 20.0
    """Each message's own."""
    max_retries: Annotated[int, Meta(ge=0)] | None = None
    """Resends of one message; absent means until its deadline."""
    fault: tuple[FaultStep, ...] = ()
    kill: tuple[KillStep, ...] = ()
    expect: Expect = Expect()


class ScenarioInvalid(ValueError):
    """Raised when a scenario file can't be used; says which file, where and why."""


def find_scenario(name: str) -> Path:
    """Return a scenario's file: a path as it is, or the name of one that comes with the package.

    Raises:
        ScenarioInvalid: when there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    packaged = SCENARIOS / f"{name}.toml"
    if packaged.is_file():
        return packaged
    known = ", ".join(sorted(file.stem for file in SCENARIOS.glob("*.toml")))
    raise ScenarioInvalid(f"{name} is no file, and no scenario of ours; there are {known}")


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ScenarioInvalid: when it can't be read or says something wrong.
    """
    try:
        return parse_scenario(path.read_text(encoding="utf-8"), str(path))
    except OSError as problem:
        raise ScenarioInvalid(f"{path}: can't be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise ScenarioInvalid(f"{path}: is no UTF-8 text") from problem


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario from TOML; `source` is what messages call it.

    Raises:
        ScenarioInvalid: when it says something wrong.
    """
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
        for step in scenario.fault:
            step.make()
    except ValueError as problem:  # TOML, msgspec and faults all say what is wrong where.
        raise ScenarioInvalid(f"{source}: {problem}") from problem
    except RecursionError as problem:
        raise ScenarioInvalid(f"{source}: is nested too deeply") from problem
    return scenario
