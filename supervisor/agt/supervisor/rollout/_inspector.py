"""The inspector: repeats the checks that the present phase asks for, a few at a time, and keeps the newest results.

Each kind of check has one function, given the check and the run directory, that returns a judgement; the inspector
bounds it in time and turns whatever goes wrong into an `error` verdict with its reason. Nothing here decides anything.
"""

import os
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from agt.supervisor._errors import SupervisorError
from agt.supervisor.components import expand
from agt.supervisor.rollout._checks import Checked, judge_hours, squeezed_moment
from agt.supervisor.rollout._comparisons import look_at_parity, look_at_suite
from agt.supervisor.rollout._durations import parse_duration
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_check import kinds_of
from agt.supervisor.rollout._plan_file import Check
from agt.supervisor.rollout._verdict import Judgement, Verdict
from agt.supervisor.rollout._version_check import look_at_versions

AT_ONCE: Final = 4
"""Checks that run at a time."""
LOOK_S: Final = 0.2
"""How often it is seen whether a check is due."""
SAYS_MAX: Final = 200
PENDING_STATUS: Final = 75
"""What a command ends with to say "not yet" (EX_TEMPFAIL of sysexits.h)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a check may know about where it runs."""

    plan: Plan
    run: Path
    """The run directory."""
    now: float
    """Seconds since the epoch."""


CheckRunner = Callable[[Check, Scene], Awaitable[Judgement]]
"""Looks once; may raise `OSError` or `SupervisorError`, which become an `error` verdict."""


async def run_command(check: Check, scene: Scene) -> Judgement:
    """Run the command: status 0 passes, 75 is pending, anything else fails; its last line is the reason."""
    words = [expand(word, run=scene.run) for word in check.command]
    done = await anyio.run_process(
        words,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        check=False,
        env={**os.environ, "AGT_RUN_DIR": str(scene.run)},
        start_new_session=True,
    )
    said = (done.stdout.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:SAYS_MAX]
    if done.returncode == 0:
        return Judgement(Verdict.PASSED, said or "ended with status 0")
    verdict = Verdict.PENDING if done.returncode == PENDING_STATUS else Verdict.FAILED
    return Judgement(verdict, said or f"ended with status {done.returncode}")


async def look_at_hours(check: Check, scene: Scene) -> Judgement:
    """See whether a deployment window is open.

    In a squeezed plan the days pass faster, too: it is open if it was at any time since the look before.
    """
    assert check.hours is not None, "the plan check lets no check without its kind through"
    squeeze = scene.plan.squeeze
    back_s = 0.0 if squeeze == 1 else scene.plan.recheck_s(check.name) * squeeze
    return judge_hours(check.hours, now=squeezed_moment(scene.now, squeeze), back_s=back_s)


async def compare_listings(check: Check, scene: Scene) -> Judgement:
    """Compare the projections of a parity file."""
    return await look_at_parity(check, scene.plan.folder, scene.run)


async def compare_answers(check: Check, scene: Scene) -> Judgement:
    """Run a suite on both sides."""
    return await look_at_suite(check, scene.plan.folder)


async def ask_versions(check: Check, scene: Scene) -> Judgement:
    """See whether the version matrix is complete."""
    return await look_at_versions(check, scene.plan.folder, run=scene.run, now=scene.now)


RUNNERS: Final[Mapping[str, CheckRunner]] = {
    "command": run_command,
    "hours": look_at_hours,
    "parity": compare_listings,
    "suite": compare_answers,
    "versions": ask_versions,
}
"""By kind of check."""


class Inspector:
    """All checks of one plan."""

    def __init__(
        self,
        plan: Plan,
        run: Path,
        *,
        clock: Callable[[], float],
        asked: Callable[[], frozenset[str]],
        on_result: Callable[[], None] = lambda: None,
        runners: Mapping[str, CheckRunner] = RUNNERS,
    ) -> None:
        """Prepare; nothing is looked at before `run`.

        Args:
            plan: Whose checks.
            run: The run directory.
            clock: Seconds since the epoch.
            asked: Returns the names that somebody waits for now.
            on_result: Called after each result.
            runners: By kind.
        """
        self._plan, self._run, self._clock = plan, run, clock
        self._asked, self._on_result, self._runners = asked, on_result, runners
        self._checks = {check.name: check for check in plan.file.check}
        self.results: dict[str, Checked] = {}
        """The newest result of each check that was looked at."""
        self._due: dict[str, float] = {}
        self._running: set[str] = set()
        self._places = anyio.CapacityLimiter(AT_ONCE)

    async def run(self) -> None:
        """Repeat what is asked for until cancelled."""
        if not self._checks:
            return
        async with anyio.create_task_group() as group:
            while True:
                now = anyio.current_time()
                for name in sorted(self._asked() & self._checks.keys()):
                    if name not in self._running and self._due.get(name, 0.0) <= now:
                        self._running.add(name)
                        group.start_soon(self._repeat, name)
                await anyio.sleep(LOOK_S)

    def again(self) -> None:
        """Look at everything again at once: a new phase has been routed."""
        self._due.clear()

    async def look(self, name: str) -> Checked:
        """Look once and keep the result.

        Raises:
            KeyError: for a check that the plan doesn't have.
        """
        check, started = self._checks[name], anyio.current_time()
        at = self._clock()
        judged = await self._judged(check, Scene(self._plan, self._run, at))
        self.results[name] = Checked(judged, at, anyio.current_time() - started)
        return self.results[name]

    async def _repeat(self, name: str) -> None:
        try:
            async with self._places:
                self._due[name] = anyio.current_time() + self._plan.recheck_s(name)
                await self.look(name)
        finally:
            self._running.discard(name)
        self._on_result()

    async def _judged(self, check: Check, scene: Scene) -> Judgement:
        timeout_s = parse_duration(check.timeout)
        try:
            with anyio.fail_after(timeout_s):
                return await self._runners[kinds_of(check)[0]](check, scene)
        except TimeoutError:
            return Judgement(Verdict.ERROR, f"did not end within {timeout_s:g} s")
        except OSError as error:
            return Judgement(Verdict.ERROR, f"can't be looked at: {error.strerror or error}")
        except SupervisorError as error:
            return Judgement(Verdict.ERROR, str(error)[:SAYS_MAX] or type(error).__name__)
