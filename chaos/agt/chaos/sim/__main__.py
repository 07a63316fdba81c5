"""Replay seeds: `python -m agt.chaos.sim --seed 7 --trace`, or many: `--seeds 1000 --jobs 2`."""

import typer

from agt.chaos.sim.cli import sim

if __name__ == "__main__":
    typer.run(sim)
