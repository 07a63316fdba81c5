"""Replay seeds: `python -m agt.chaos.sim --seed 7 [--count 100] [--trace]`."""

import argparse
import sys
import time

from agt.chaos.sim._story import run_seed


def main(arguments: list[str]) -> int:
    """Run the seeds and print what they showed; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m agt.chaos.sim", description="Live through simulated worlds.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there")
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    options = parser.parse_args(arguments)
    broken = events = 0
    started = time.perf_counter()
    for seed in range(options.seed, options.seed + options.count):
        report = run_seed(seed)
        events += report.events
        broken += bool(report.broken)
        if options.trace:
            sys.stdout.write("\n".join(report.trace) + "\n")
        if report.broken or options.count == 1:
            sys.stdout.write(report.summary() + "\n")
    if options.count > 1:
        took_s = time.perf_counter() - started
        sys.stdout.write(
            f"{options.count} seeds, {broken} broken, {events} events in {took_s:.1f} s"
            f" ({events / took_s:,.0f} a second)\n"
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
