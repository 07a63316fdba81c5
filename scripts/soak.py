"""The long runs, one after the other, each with a time limit: `python scripts/soak.py [PART...]`.

Parts: `worlds` (a hundred thousand simulated worlds), `fuzz` (every parser under atheris), `tests` (tests marked
`soak`: real processes killed at random moments, larger scenarios). Ends with the figures, on the screen and in
`.soak/summary.json`; the exit status is 1 when anything failed. Lengths can be set: `--seeds`, `--fuzz-seconds`.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "tests" / "corpus"

WORLDS_LIMIT_S = 40 * 60.0
FUZZ_GRACE_S = 180.0
TESTS_LIMIT_S = 120 * 60.0
TEST_LIMIT_S = 40 * 60.0
"""Nothing here may take longer, whatever hangs: a part, and one test of it."""

Part = dict[str, Any]


def worlds(options: argparse.Namespace) -> Part:
    """Live through many simulated worlds."""
    command = [sys.executable, "-m", "agt.chaos.sim", "--json"]
    command += ["--seed", str(options.first_seed), "--seeds", str(options.seeds), "--jobs", str(options.jobs)]
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True, timeout=WORLDS_LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"failures": [f"worlds: not done after {WORLDS_LIMIT_S:.0f} s"]}
    try:
        figures: Part = json.loads(run.stdout)
    except ValueError:
        return {"failures": [f"worlds: ended with {run.returncode} and no figures"]}
    failures = [
        f"seed {broken['seed']}: {broken['promise']}; replay: {broken['replay']}" for broken in figures["broken"]
    ]
    return {**figures, "failures": failures}


def fuzz(options: argparse.Namespace) -> Part:
    """Give every parser to atheris for a while, as many at a time as there are jobs."""
    if importlib.util.find_spec("atheris") is None:
        reason = f"there is no atheris for Python {platform.python_version()} here"
        print(f"fuzz: skipped, {reason}", flush=True)
        return {"skipped": reason, "executions": 0, "failures": []}
    names = sorted(path.name for path in CORPUS.iterdir())
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda name: _fuzz_one(name, options.fuzz_seconds), names))
    failures = [failure for result in results for failure in result.pop("failures")]
    executions = sum(result["executions"] for result in results)
    return {"targets": results, "executions": executions, "failures": failures}


def _fuzz_one(name: str, seconds: float) -> Part:
    command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), name, "--seconds", str(seconds)]
    try:
        run = subprocess.run(command, capture_output=True, check=False, text=True, timeout=seconds + FUZZ_GRACE_S)
        result: Part = json.loads(run.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        result = {"target": name, "executions": 0, "failures": [f"fuzz {name}: {error!r}"]}
    else:
        ended = "it did not end" if result["stuck"] else f"it ended with {result['exit_code']}"
        said = f"fuzz {name}: {', '.join(result['findings']) or ended}; see .fuzz/{name}/log"
        result["failures"] = [said] if run.returncode else []
    print(f"fuzz: {name}: {result['executions']:,} inputs, {len(result['failures'])} failures", flush=True)
    return result


def tests(options: argparse.Namespace) -> Part:
    """Run the tests marked `soak`; what they count they write down themselves (the `figure` fixture)."""
    figures = options.out / "figures.jsonl"
    figures.unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "pytest"), "-q", "-m", "soak", "--timeout", str(int(TEST_LIMIT_S))]
    command += ["-n", str(options.jobs), "--dist", "worksteal", "-p", "no:cacheprovider", "tests"]
    report = options.out / "tests.txt"
    started = time.monotonic()
    with report.open("w") as output:
        try:
            status = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=TESTS_LIMIT_S,
                env={**os.environ, "AGT_SOAK_FIGURES": str(figures)},
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    lines = report.read_text(errors="replace").splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    if status and not failures:
        failures = [f"tests: pytest ended with {status}; see {report}"]
    print(f"tests: {lines[-1] if lines else 'nothing ran'}", flush=True)
    counted: dict[str, float] = {}
    for line in figures.read_text().splitlines() if figures.exists() else []:
        for name, value in json.loads(line).items():
            counted[name] = counted.get(name, 0) + value
    return {"seconds": round(time.monotonic() - started, 1), "figures": counted, "failures": failures}


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {"worlds": worlds, "fuzz": fuzz, "tests": tests}


def main(arguments: list[str]) -> int:
    """Run the parts and print what they showed; 1 when something failed."""
    parser = argparse.ArgumentParser(prog="scripts/soak.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--seeds", type=int, default=100_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--fuzz-seconds", type=float, default=10.0, help="for each parser")
    parser.add_argument("--out", type=Path, default=ROOT / ".soak", help="where the figures go")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    started_at, started = datetime.now(UTC), time.monotonic()
    done: dict[str, Part] = {}
    for name in [part for part in PARTS if not options.parts or part in options.parts]:
        print(f"{name}: begins", flush=True)
        done[name] = PARTS[name](options)
        for failure in done[name]["failures"]:
            print(f"{name}: FAILED {failure}", flush=True)
    failures = [failure for part in done.values() for failure in part.pop("failures")]
    summary = {
        "started_at": started_at.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "parts": done,
        "failures": failures,
    }
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(_told(done, failures, summary["seconds"]), flush=True)
    return 1 if failures else 0


def _told(done: dict[str, Part], failures: list[str], seconds: float) -> str:
    lines = ["", f"soak: {len(failures)} failures in {seconds / 60:.1f} min"]
    lines += [f"  FAILED {failure}" for failure in failures]
    if "seeds" in done.get("worlds", {}):
        ran = done["worlds"]
        lines.append(
            f"  worlds  {ran['seeds']:,} seeds, {ran['broken_seeds']} broken, {ran['events']:,} events"
            f" ({ran['events_per_s']:,} a second), {sum(ran['outcomes'].values()):,} messages"
        )
    if "fuzz" in done:
        ran = done["fuzz"]
        tried = f"{ran['executions']:,} inputs to {len(ran.get('targets', []))} parsers"
        lines.append(f"  fuzz    {ran.get('skipped') or tried}")
    if "tests" in done:
        counted = ", ".join(f"{value:,.0f} {name}" for name, value in sorted(done["tests"]["figures"].items()))
        lines.append(f"  tests   {counted or 'no figures'}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
