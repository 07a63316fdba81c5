"""Break the running demo on purpose: `python -m agt.chaos.demo.inject KIND:TARGET[:AMOUNT]` or `clear`.

The plan's drills run this; the run directory comes from `AGT_RUN_DIR`.
"""

import sys

import anyio

from agt.chaos.demo._fault_spec import WrongFault, parse_faults
from agt.chaos.demo._files import demo_files
from agt.chaos.demo._inject import inject
from agt.chaos.demo._talk import NoAnswer, ask

USAGE = "usage: python -m agt.chaos.demo.inject KIND:TARGET[:AMOUNT] ... | clear\n"
NOW = "now"
"""Stands in for the phase, which only matters to a headless run."""


async def _inject_all(texts: list[str]) -> None:
    files = demo_files()
    for text in texts:
        if text == "clear":
            await ask(files.fleet_socket, {"op": "clear"})
            continue
        for spec in parse_faults([text if "@" in text else f"{text}@{NOW}"]):
            await inject(spec, files)


def main(arguments: list[str]) -> int:
    """Inject what is named; exit status 1 when it can't be done, 2 on wrong usage."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stderr.write(USAGE)
        return 2
    try:
        anyio.run(_inject_all, arguments)
    except (WrongFault, NoAnswer) as problem:
        sys.stderr.write(f"inject: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
