"""Run the test lanes one after the other and print what each took beside its budget.

`python scripts/lanes.py [LANE...]`: without names, all. Stops at nothing: every lane runs, the exit status says
whether all passed, and the last line sums up.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Lane:
    """One group of commands with a time budget in seconds on 2 cores."""

    name: str
    budget_s: float
    commands: tuple[tuple[str, ...], ...]
    together: bool = False
    """Whether its commands run side by side: each uses one core, and none minds the others."""


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(BIN / name), *arguments)


def _tests(workers: int, *paths: str) -> tuple[str, ...]:
    """More workers than cores where tests mostly wait for processes and sockets."""
    return _tool("pytest", "-q", "-m", "not soak", "-n", str(workers), "--dist", "worksteal", *paths)


LANES = (
    Lane(
        "check",
        48,
        (
            _tool("basedpyright", "--level", "error"),
            _tool("mypy"),
            _tool("ruff", "format", "--check", "--quiet", "."),
            _tool("ruff", "check", "--quiet", "."),
            _tool("lint-imports"),
            _tests(0, "tests/test_tidy.py", "tests/test_runbooks.py"),
        ),
        together=True,
    ),
    Lane("unit", 95, (_tests(4, "tests/transport", "tests/router", "tests/supervisor"),)),
    Lane("simulation", 45, (_tests(2, "tests/simulation", "tests/fuzz"),)),
    Lane("processes", 77, (_tests(3, "tests/processes", "tests/chaos"),)),
    Lane("screen", 35, (_tests(2, "tests/tui", "tests/api"),)),
)


def run(lane: Lane) -> bool:
    """Run one lane and print its time; true when every command passed."""
    started = time.monotonic()
    results = _side_by_side(lane) if lane.together else [subprocess.call(command) for command in lane.commands]
    took_s = time.monotonic() - started
    state = "ok" if not any(results) else "FAILED"
    over = " (over budget)" if took_s > lane.budget_s else ""
    print(f"lane {lane.name}: {state} in {took_s:.1f} s of {lane.budget_s:.0f} s{over}", flush=True)
    return not any(results)


def _side_by_side(lane: Lane) -> list[int]:
    """Run a lane's commands at once, as many as there are cores, and print what each said when it has ended."""

    def call(command: tuple[str, ...]) -> int:
        done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.stdout.strip():
            print(f"$ {Path(command[0]).name}\n{done.stdout.rstrip()}", flush=True)
        return done.returncode

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(call, lane.commands))


def main(names: list[str]) -> int:
    """Run the named lanes, or all of them."""
    chosen = [lane for lane in LANES if not names or lane.name in names]
    unknown = set(names) - {lane.name for lane in LANES}
    if unknown:
        print(f"unknown lane {', '.join(sorted(unknown))}; there are {', '.join(lane.name for lane in LANES)}")
        return 2
    # The tests start hundreds of processes: without compiled files each would compile everything it imports anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    passed = [run(lane) for lane in chosen]
    print(f"{sum(passed)} of {len(passed)} lanes passed in {time.monotonic() - started:.1f} s", flush=True)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
