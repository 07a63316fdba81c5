"""Many seeds on many cores: worlds share nothing, so each process lives through a chunk and only figures come back.

The seeds decide everything and the chunks come back in order, so two runs differ in nothing but the time they took.
A world that ends in an error of its own (a bug that no promise names) counts as broken, too: its seed is what matters.
"""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import Final

import msgspec

from agt.chaos.sim._kinds import KINDS, Kind
from agt.chaos.sim._profile import with_overrides
from agt.chaos.sim._report import Report, replay_command
from agt.chaos.sim._shrink import shrink

CHUNK_SEEDS: Final = 50
"""Seeds a process gets at once; some tenths of a second."""
CHUNKS_AHEAD: Final = 4
"""Chunks a process may have waiting; more would only delay the end after a key is pressed."""
BROKEN_MAX: Final = 20
"""Broken seeds that are kept and shrunk; a suite that breaks everywhere is understood from fewer."""

Overrides = Mapping[str, str]
"""Profile fields that are set for every seed, as they are written on the command line."""


class BrokenSeed(msgspec.Struct, frozen=True, kw_only=True):
    """A seed in which a promise was broken."""

    seed: int
    promise: str
    """The promise and how it was broken."""
    replay: str
    """The command that shows it again, with as much of the world switched off as the seed can do without."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What some seeds showed."""

    seeds: int = 0
    events: int = 0
    """Steps of their worlds."""
    virtual_s: float = 0.0
    outcomes: dict[str, int] = {}
    """Messages by how they ended."""
    broken_seeds: int = 0
    broken: tuple[BrokenSeed, ...] = ()
    """The first of them, at most `BROKEN_MAX`."""

    def plus(self, other: "Tally") -> "Tally":
        """Return both as one."""
        return Tally(
            seeds=self.seeds + other.seeds,
            events=self.events + other.events,
            virtual_s=self.virtual_s + other.virtual_s,
            outcomes=dict(sorted((Counter(self.outcomes) + Counter(other.outcomes)).items())),
            broken_seeds=self.broken_seeds + other.broken_seeds,
            broken=(self.broken + other.broken)[:BROKEN_MAX],
        )


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run over many seeds."""

    first_seed: int
    jobs: int
    """Processes that shared the work."""
    seconds: float
    tally: Tally

    @property
    def events_per_s(self) -> float:
        """Steps of worlds a second of wall clock, over all processes."""
        return self.tally.events / self.seconds if self.seconds else 0.0

    @property
    def seeds_per_s(self) -> float:
        """Worlds a second of wall clock."""
        return self.tally.seeds / self.seconds if self.seconds else 0.0


def run_seeds(
    first: int,
    count: int,
    *,
    jobs: int = 1,
    overrides: Overrides | None = None,
    kind: str = "links",
    progress: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Live through `count` worlds from seed `first` on.

    Args:
        first: the first seed.
        count: how many.
        jobs: processes to share them; 1 stays in this one.
        overrides: profile fields to set in every world.
        kind: which kind of world, by name.
        progress: told now and then how far it is.
    """
    started = time.perf_counter()
    fixed = dict(overrides or {})
    chunks = [
        (kind, at, min(CHUNK_SEEDS, first + count - at), fixed) for at in range(first, first + count, CHUNK_SEEDS)
    ]
    run = Run(first_seed=first, jobs=jobs, seconds=0.0, tally=Tally())
    for tally in map(_run_chunk, chunks) if jobs == 1 else _shared(chunks, jobs):
        run = Run(first_seed=first, jobs=jobs, seconds=time.perf_counter() - started, tally=run.tally.plus(tally))
        progress(run)
    return run


Chunk = tuple[str, int, int, dict[str, str]]


def _shared(chunks: list[Chunk], jobs: int) -> Iterator[Tally]:
    """Yield the tallies in order; a spawned process starts clean, whatever threads the caller has."""
    rest = iter(chunks)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            waiting = _submit(pool, islice(rest, jobs * CHUNKS_AHEAD))
            while waiting:
                tally = waiting.pop(0).result()
                waiting += _submit(pool, islice(rest, 1))
                yield tally
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, chunks: Iterable[Chunk]) -> list[Future[Tally]]:
    return [pool.submit(_run_chunk, chunk) for chunk in chunks]


def _run_chunk(chunk: Chunk) -> Tally:
    kind, first, count, overrides = chunk
    tally = Tally()
    for seed in range(first, first + count):
        tally = tally.plus(_run_one(KINDS[kind], seed, overrides))
    return tally


def _run_one(kind: Kind, seed: int, overrides: dict[str, str]) -> Tally:
    profile = with_overrides(kind.draw(seed), overrides)
    try:
        report = kind.run(seed, profile)
    except Exception as error:  # noqa: BLE001  # Whatever it is, the seed shows it again.
        broken = BrokenSeed(seed=seed, promise=f"error: {error!r}", replay=replay_command(seed, overrides, kind.name))
        return Tally(seeds=1, broken_seeds=1, broken=(broken,))
    return Tally(
        seeds=1,
        events=report.events,
        virtual_s=report.virtual_s,
        outcomes=report.outcomes,
        broken_seeds=int(bool(report.broken)),
        broken=(_shrunk(kind, report, profile, overrides),) if report.broken else (),
    )


def _shrunk(kind: Kind, report: Report, profile: msgspec.Struct, overrides: dict[str, str]) -> BrokenSeed:
    smaller = shrink(kind, report.seed, profile, report.broken)
    return BrokenSeed(
        seed=report.seed, promise=report.broken, replay=replay_command(report.seed, overrides | smaller, kind.name)
    )
