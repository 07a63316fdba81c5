"""The driver: ask both sides at the same time, compare, wait, until the verdict is final. Holds no rules of its own."""

import time
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread

from agt.router._ignore import expired_rules
from agt.router.parity._compare import Comparison, compare
from agt.router.parity._judge import judge
from agt.router.parity._keys import Indexed
from agt.router.parity._listing import Listing, ListingRefused
from agt.router.parity._projection import Projection
from agt.router.parity._result import ParityResult, SideSeen, found_in
from agt.router.parity._settling import Settling
from agt.router.parity._source import Answer, Source, SourceFailed
from agt.router.parity._values import TooDeep
from agt.router.parity._verdict import Verdict

OnTake = Callable[[ParityResult], None]


async def check_parity(
    projection: Projection,
    control: Source,
    candidate: Source,
    *,
    wall: Callable[[], float] = time.time,
    on_take: OnTake | None = None,
) -> ParityResult:
    """Compare two live listings until the verdict is final; bounded by `PATIENCE` times `takes` takes.

    Args:
        projection: What to compare, and how long a difference must stand.
        control: Where control's listing comes from.
        candidate: Where the candidate's comes from.
        wall: Wall-clock time in seconds, for ages and the ends of ignore rules.
        on_take: Called after each take that isn't the last, to show progress.

    Returns:
        A result, whatever happens: a side that doesn't answer is the verdict `error`.
    """
    settling = Settling(takes=projection.takes, settle_s=projection.settle_s)
    while True:
        result = await _take(projection, control, candidate, settling, wall=wall)
        if result.verdict is not Verdict.PENDING:
            return result
        if on_take is not None:
            on_take(result)
        await anyio.sleep(projection.every_s)


async def _take(
    projection: Projection, control: Source, candidate: Source, settling: Settling, *, wall: Callable[[], float]
) -> ParityResult:
    sides = [_Side(control), _Side(candidate)]
    async with anyio.create_task_group() as tasks:
        for side in sides:
            tasks.start_soon(side.look, projection, wall)
    now = wall()
    expired = expired_rules(projection.ignore, now=now)
    problem = next((side.problem for side in sides if side.problem), "")
    compared = Comparison()
    if not problem:
        try:
            # In a thread, as the reading: 100,000 rows take a second that the loop may need for something else.
            compared = await anyio.to_thread.run_sync(
                partial(compare, sides[0].indexed, sides[1].indexed, projection, now=now)
            )
        except (TooDeep, RecursionError):
            problem = f"a value in one of the listings {TooDeep()}"
    if problem:
        return ParityResult(
            name=projection.name,
            verdict=Verdict.ERROR,
            reason=problem,
            takes=settling.takes,
            expired=expired,
            control=sides[0].seen,
            candidate=sides[1].seen,
        )
    settling.add(compared, now=anyio.current_time())
    verdict, reason = judge(projection, settling, compared)
    return ParityResult(
        name=projection.name,
        verdict=verdict,
        reason=reason,
        samples=compared.compared,
        takes=settling.takes,
        counts=compared.counts,
        differences=found_in(settling, now=anyio.current_time()),
        ignored=compared.ignored,
        transient=settling.transient,
        doubled=compared.doubled,
        expired=expired,
        control=sides[0].seen,
        candidate=sides[1].seen,
    )


class _Side:
    """One side in one take: its answer as a listing, or the reason why there is none."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.seen = SideSeen(source=source.name)
        self.indexed = Indexed(Listing(rows=()), ())
        self.problem = ""

    async def look(self, projection: Projection, wall: Callable[[], float]) -> None:
        """Ask, and read the answer; never raises."""
        try:
            answer = await self._source.ask()
            await anyio.to_thread.run_sync(self._read, answer, projection, wall())
        except SourceFailed as error:
            self.problem = str(error)
        except ListingRefused as error:
            self.problem = f"the answer of {self._source.name} {error}"

    def _read(self, answer: Answer, projection: Projection, now: float) -> None:
        if answer.refused:
            raise SourceFailed(self._source.name, f"answers with status {answer.status}")
        listing = answer.listing(projection.layout)
        age_s = None if listing.as_of is None else now - listing.as_of
        self.seen = SideSeen(
            source=self._source.name,
            rows=len(listing.rows),
            version=listing.version,
            age_s=age_s,
            took_s=round(answer.took_s, 6),
        )
        if age_s is not None and projection.max_age_s is not None and age_s > projection.max_age_s:
            raise SourceFailed(
                self._source.name,
                f"answers with a listing {age_s:.1f} s old; at most {projection.max_age_s:g} s are taken",
            )
        self.indexed = Indexed(listing, projection.key)
