"""Let atheris look at one fuzz target for a while: `python scripts/fuzz.py TARGET --seconds 20`.

Needs atheris (`make soak` installs it from `requirements-soak.lock`, where there is a wheel for this Python). Prints
one line of JSON: how many inputs were tried and what was found. An input that found something is kept below
`.fuzz/TARGET`; put it into `tests/corpus/TARGET` once the parser is mended, so that it is tried each time.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from support.fuzz_support import Target

ROOT = Path(__file__).parent.parent
FOUND = ROOT / ".fuzz"
INSTRUMENTED = (
    "agt.transport.durable",
    "agt.transport.trust",
    "agt.transport.wires",
    "agt.transport._sniffing",
    "agt.transport._toml",
    "agt.router._environment",
    "agt.router._selector_text",
    "agt.supervisor._changes",
    "agt.supervisor.control._requests",
    "agt.supervisor.components._readiness",
    "agt.supervisor.measure",
    "agt.supervisor.rollout._durations",
    "agt.supervisor.rollout._plan_check",
    "agt.supervisor.rollout._shape",
    "agt.chaos.checkers",
    "agt.chaos.demo._fault_spec",
    "agt.chaos.proxy._framing",
    "agt.chaos.replay._capture",
    "agt.chaos.scenario._spec",
    "tomllib",
)
"""Where the parsers are. All of `agt` would work too, and take ten seconds for each target before the first input."""
GRACE_S = 120.0
"""How much longer than asked a target may take (it has to import) before it counts as stuck."""
INPUT_MAX = 4096
LOG, TOKENS = "log", "tokens"
LOG_SHOWN = 4000
"""Characters of the log that are shown when a target gave way."""
MODULES = ("fuzz_native", "fuzz_wires", "fuzz_trust", "fuzz_durable", "fuzz_texts", "fuzz_parity", "fuzz_doors")
"""Where targets are, in `tests/support`."""
SLOW_INPUT_S = 5
"""An input that takes longer than this is a finding, too."""


def attack(name: str, seconds: float, corpus: str, found: str, counted: "Synchronized[int]") -> None:
    """Run one target under atheris; never returns, since libFuzzer ends the process."""
    sys.path.insert(0, str(ROOT / "tests"))
    with (Path(found) / LOG).open("wb") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    import atheris  # noqa: PLC0415  # Only here, so that everything else runs without it.

    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        target = _target(name)
    tokens = Path(found) / TOKENS
    tokens.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens if len(token) <= 64))

    def one(data: bytes) -> None:
        counted.value += 1
        target.run(data)

    options = [
        f"-max_total_time={int(seconds)}",
        f"-max_len={INPUT_MAX}",
        f"-timeout={SLOW_INPUT_S}",
        f"-artifact_prefix={found}/",
        *([f"-dict={tokens}"] if target.tokens else []),  # An empty dictionary is refused.
        "-seed=1",
        "-verbosity=0",
        "-print_final_stats=0",
    ]
    atheris.Setup(["fuzz", *options, corpus, str(target.corpus)], one)
    atheris.Fuzz()


def _target(name: str) -> "Target":
    """Find a target, importing no more than it takes: what is imported is instrumented, which takes seconds."""
    for module in MODULES:
        for target in importlib.import_module(f"support.{module}").TARGETS:
            if target.name == name:
                return target
    raise AssertionError(f"{name} has a corpus and no target")


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def main(arguments: list[str]) -> int:
    """Attack one target; 1 when it gave way."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz.py", description=__doc__.partition("\n")[0])
    parser.add_argument("target", help="a name from tests/corpus")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args(arguments)
    if not (ROOT / "tests" / "corpus" / options.target).is_dir():
        known = ", ".join(sorted(path.name for path in (ROOT / "tests" / "corpus").iterdir()))
        parser.error(f"no target {options.target!r}; there are {known}")
    found = FOUND / options.target
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    context = multiprocessing.get_context("spawn")
    counted = context.Value("q", 0, lock=False)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as grown:
        process = context.Process(target=attack, args=(options.target, options.seconds, grown, str(found), counted))
        process.start()
        process.join(options.seconds + GRACE_S)
        stuck = process.is_alive()
        if stuck:
            process.kill()
            process.join()
    findings = sorted(
        str(path.relative_to(ROOT)) for path in set(found.iterdir()) - before if path.name not in (LOG, TOKENS)
    )
    failed = stuck or process.exitcode != 0 or bool(findings)
    print(
        json.dumps(
            {
                "target": options.target,
                "executions": int(counted.value),
                "seconds": round(time.monotonic() - started, 1),
                "exit_code": process.exitcode,
                "stuck": stuck,
                "findings": findings,
            }
        )
    )
    if failed:
        sys.stderr.write((found / LOG).read_text(errors="replace")[-LOG_SHOWN:] + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
