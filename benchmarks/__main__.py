"""`python -m benchmarks [--json] [--rounds N]`: the native wire beside the raw limit, alternated, medians.

Both ends on one core and one event loop (asyncio), 128-byte messages, about 20 seconds.
"""

import argparse
import asyncio
import sys

import msgspec

from benchmarks._limit import measure_limit
from benchmarks._ours import measure_ours
from benchmarks._samples import Figures, median_of

PAYLOAD = bytes(range(128))
WINDOWS = (64, 1000)
ROUND_TRIPS = 3000
MESSAGES = 60_000
"""Messages per window and round; more would only repeat the same turn of the event loop."""


class Ratio(msgspec.Struct, frozen=True):
    """Ours against the limit: times above 1 are slower, rates below 1 are slower."""

    rtt_p50: float
    acked_64: float
    acked_1000: float
    cpu_64: float
    """Processor time a message: above 1 is dearer."""
    cpu_1000: float


class Result(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    loop: str
    payload_bytes: int
    rounds: int
    ours: Figures
    limit: Figures
    ratio: Ratio


async def measure(rounds: int) -> Result:
    """Alternate both sides and fold the rounds."""
    ours, limits = [], []
    for _ in range(rounds):
        limits.append(await measure_limit(PAYLOAD, round_trips=ROUND_TRIPS, messages=MESSAGES, windows=WINDOWS))
        ours.append(await measure_ours(PAYLOAD, round_trips=ROUND_TRIPS, messages=MESSAGES, windows=WINDOWS))
    our, limit = median_of(ours), median_of(limits)
    ratio = Ratio(
        rtt_p50=round(our.rtt_us.p50 / limit.rtt_us.p50, 2),
        acked_64=round(our.per_s["64"] / limit.per_s["64"], 3),
        acked_1000=round(our.per_s["1000"] / limit.per_s["1000"], 3),
        cpu_64=round(our.cpu_us["64"] / limit.cpu_us["64"], 1),
        cpu_1000=round(our.cpu_us["1000"] / limit.cpu_us["1000"], 1),
    )
    return Result("asyncio", len(PAYLOAD), rounds, our, limit, ratio)


def table(result: Result) -> str:
    """Return the result for people."""
    rows = [f"{'':8}{'rtt p50 us':>12}{'p99':>9}{'64 in flight /s':>18}{'1000 in flight /s':>20}"]
    for name, figures in (("ours", result.ours), ("limit", result.limit)):
        rate_64, rate_1000 = figures.per_s["64"], figures.per_s["1000"]
        rows.append(f"{name:8}{figures.rtt_us.p50:>12}{figures.rtt_us.p99:>9}{rate_64:>18,}{rate_1000:>20,}")
    ratio = result.ratio
    rows.append(f"{'ratio':8}{ratio.rtt_p50:>12}{'':9}{ratio.acked_64:>18}{ratio.acked_1000:>20}")
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours beside the raw limit.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each side, alternated (default 3)")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    result = asyncio.run(measure(options.rounds))
    sys.stdout.write((msgspec.json.encode(result).decode() if options.json else table(result)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
