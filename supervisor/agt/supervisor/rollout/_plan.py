"""A plan that was read and found sound, and how fast it runs.

`load_plan` reads a file in two passes (shape, then meaning) and raises all problems at once. A `Plan` answers in
seconds: durations of the file divided by the squeeze, with named floors below which nothing could be measured.
Latency limits and sample counts are never squeezed: they are facts about the traffic, not about the calendar.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.components import ComponentSpec, problems
from agt.supervisor.rollout._comparisons import file_problems
from agt.supervisor.rollout._durations import parse_checks, parse_duration
from agt.supervisor.rollout._plan_check import meaning_problems
from agt.supervisor.rollout._plan_file import Drill, Objective, Phase, PlanFile, Rule
from agt.supervisor.rollout._plan_rest import problems_of_the_rest
from agt.supervisor.rollout._plan_units import remarks, unit_problems
from agt.supervisor.rollout._shape import Problem, shape_problems

CHECK_FLOOR_S: Final = 0.2
"""Routers are never asked more often than this, however hard a plan is squeezed."""
RECHECK_FLOOR_S: Final = 0.5
"""No named check is repeated more often than this."""
WINDOW_FLOOR_S: Final = 2.0
"""No window looks at less than this."""
PHASE_OVERHEAD_S: Final = 0.4
"""What a phase takes beside its soak (a check, a record, a move); counted when a plan is fitted into a duration."""
LATENCY_LIMIT_S: Final = 1.5
"""Where a plan has no latency objective: slower than this is slow."""
PLAN_MAX_BYTES: Final = 1 << 20


class PlanInvalid(SupervisorError):
    """Raised when a plan can't be used; carries every problem with its key path."""

    def __init__(self, source: str, problems: Sequence[Problem], *, further: bool = False) -> None:
        """Say all problems; `further` when there is more to be checked once these are mended."""
        self.source, self.problems = source, tuple(problems)
        lines = "\n".join(f"{source}: {problem}" for problem in problems)
        after = "; names, units and references are checked after that" * further
        super().__init__(lines, f"{len(self.problems)} problem{'s' * (len(self.problems) != 1)} to mend{after}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A sound plan at one speed."""

    file: PlanFile
    source: str = ""
    """Where it was read from."""
    squeeze: float = 1.0
    """How many times faster than written it runs."""

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.file.name

    @property
    def folder(self) -> Path:
        """Where the files that it names are: beside it."""
        return Path(self.source).parent

    @property
    def remarks(self) -> tuple[Problem, ...]:
        """What is allowed and probably not meant."""
        return tuple(remarks(self.file, self.folder))

    @property
    def control(self) -> str:
        """The runtime that carries the traffic today."""
        return self.file.runtimes.control

    @property
    def candidate(self) -> str:
        """The runtime that shall carry it."""
        return self.file.runtimes.candidate

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The ladder, first rung first."""
        return self.file.phase

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The service levels."""
        return self.file.objective

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What sends it back or holds it."""
        return self.file.rule

    @property
    def drills(self) -> tuple[Drill, ...]:
        """What an operator may try on purpose."""
        return self.file.drill

    @property
    def components(self) -> tuple[ComponentSpec, ...]:
        """The processes that belong to it."""
        return self.file.component

    @property
    def routers(self) -> tuple[str, ...]:
        """Sockets of the routers, as written."""
        return self.file.routers

    @property
    def check_interval_s(self) -> float:
        """Seconds between two checks."""
        return max(CHECK_FLOOR_S, parse_duration(self.file.checks_every) / self.squeeze)

    @property
    def latency_limit_s(self) -> float:
        """In flight for longer than this counts as slow now: the tightest latency objective, never squeezed."""
        limits = [
            limit
            for one in self.objectives
            if one.metric.endswith("_seconds")
            for limit in (one.at_most, one.below)
            if limit is not None
        ]
        return min(limits, default=LATENCY_LIMIT_S)

    @property
    def longest_window_s(self) -> float:
        """How far back any window looks; older samples are of no use."""
        return max((self.window_s(one.window) for one in self.objectives), default=0.0) + 2 * self.total_soak_s

    @property
    def total_soak_s(self) -> float:
        """Seconds of soak in all phases together, squeezed."""
        return math.fsum(self.soak_s(phase) for phase in self.phases)

    def soak_s(self, phase: Phase) -> float:
        """Return the seconds that routers must have carried the phase's route."""
        return parse_duration(phase.soak) / self.squeeze

    def window_s(self, window: str) -> float:
        """Return how far back a window looks; an empty one looks back without end."""
        return max(WINDOW_FLOOR_S, parse_duration(window) / self.squeeze) if window else math.inf

    def recheck_s(self, name: str) -> float:
        """Return how often a named check is repeated.

        Raises:
            KeyError: for a check that the plan doesn't have.
        """
        every = {check.name: check.every for check in self.file.check}[name]
        return max(RECHECK_FLOOR_S, parse_duration(every) / self.squeeze)

    def checks(self, rule: Rule) -> int:
        """Return how many checks in a row the rule has to be violated before it fires."""
        written_s = max(CHECK_FLOOR_S, parse_duration(self.file.checks_every))
        return parse_checks(rule.when.violated_for, check_interval_s=written_s)

    def index(self, name: str) -> int | None:
        """Return the place of a phase, None when there is none of that name."""
        return next((place for place, phase in enumerate(self.phases) if phase.name == name), None)

    def back_from(self, index: int) -> int | None:
        """Return the place of the phase that `previous_phase` means, None for the first."""
        if back_to := self.phases[index].back_to:
            return self.index(back_to)
        return index - 1 if index else None

    def at_home(self) -> "Plan":
        """Return the plan with an absolute source, so that its folder stays its folder wherever we work."""
        return replace(self, source=str(Path(self.source).absolute()))

    def squeezed(self, factor: float) -> "Plan":
        """Return the plan, run `factor` times faster than written.

        Raises:
            ValueError: if the factor is not a finite number above zero.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"a plan can't be squeezed by {factor}")
        return replace(self, squeeze=factor)

    def factor_for(self, duration_s: float) -> float:
        """Return the squeeze that fits the whole plan into about `duration_s` seconds, at least 1.

        Raises:
            ValueError: if so little time is given that not even the checks would fit.
        """
        room_s = duration_s - PHASE_OVERHEAD_S * len(self.phases)
        if room_s <= 0:
            least_s = math.ceil(PHASE_OVERHEAD_S * len(self.phases)) + 1
            raise ValueError(
                f"{duration_s:g} s is too short for {len(self.phases)} phases; give it {least_s} s or more"
            )
        return max(1.0, replace(self, squeeze=1.0).total_soak_s / room_s)


def parse_plan(text: str, source: str = "plan") -> Plan:
    """Read a plan from TOML.

    Raises:
        PlanInvalid: with every problem found.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanInvalid(source, [Problem("", f"is no TOML: {error}")]) from error
    except RecursionError as error:
        raise PlanInvalid(source, [Problem("", "is no TOML: nested too deeply")]) from error
    if found := shape_problems(document, PlanFile):
        rest = problems_of_the_rest(document, found, _meaning)
        raise PlanInvalid(source, [*found, *(rest or ())], further=rest is None)
    file = msgspec.convert(document, PlanFile)
    if found := _meaning(file):
        raise PlanInvalid(source, found)
    return Plan(_whole(file), source)


def _meaning(file: PlanFile) -> list[Problem]:
    return [*meaning_problems(file), *unit_problems(file), *_component_problems(file)]


def _component_problems(file: PlanFile) -> list[Problem]:
    """Return what keeps the components from being started together."""
    return [Problem(*line.split(": ", 1)) for line in problems(file.component)]


def _whole(file: PlanFile) -> PlanFile:
    """Let each phase say all that any phase says of components and pins, so that going back takes it back."""
    routes = [phase.route for phase in file.phase]
    names = sorted({name for route in routes for name in route.components})
    pins = any(route.pin_live_sessions is not None for route in routes)
    whole = [
        msgspec.structs.replace(
            route,
            components={name: route.components.get(name, False) for name in names},
            pin_live_sessions=bool(route.pin_live_sessions) if pins else None,
        )
        for route in routes
    ]
    phases = (msgspec.structs.replace(phase, route=route) for phase, route in zip(file.phase, whole, strict=True))
    return msgspec.structs.replace(file, phase=tuple(phases))


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        PlanInvalid: if it can't be read, or with every problem found in it.
    """
    try:
        if path.stat().st_size > PLAN_MAX_BYTES:
            raise PlanInvalid(str(path), [Problem("", f"is larger than {PLAN_MAX_BYTES >> 20} MiB")])
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlanInvalid(str(path), [Problem("", "is no UTF-8 text")]) from error
    except OSError as error:
        raise PlanInvalid(str(path), [Problem("", f"can't be read: {error.strerror}")]) from error
    plan = parse_plan(text, str(path))
    if found := file_problems(plan.file, plan.folder):
        raise PlanInvalid(str(path), found)
    return plan
