"""A move of many devices under load and faults: 0 to 100 to 0 percent in steps, and what became of every command.

Each step asks every router for a preview, then applies the very selector, waits until it has settled, and keeps the
receipts. Frames are dropped, delayed and cut meanwhile. At the end the logs of sources and devices are joined and held
against what each wire can promise, and the receipts against the previews.
"""

import time
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import msgspec

from agt.chaos.demo._names import DeviceKind, fleet_names
from agt.chaos.scale._judge import BarrierName, Tally, Turn, tallies
from agt.chaos.scale._stage import Progress, Stage, StageFailed, Troupe, staged
from agt.router import MoveReceipt, RoutePreview, Selector, format_selector
from agt.supervisor.measure import RequestFailed, request

STEPS: Final = (25.0, 60.0, 100.0, 70.0, 30.0, 0.0)
KINDS: Final[tuple[DeviceKind, ...]] = ("lines", "cync", "half-close", "plain")
BETWEEN_S: Final = 1.5
"""How long commands flow on one route."""
FAULTS: Final = (
    ("latency", "all", 0.02),
    ("jitter", "all", 0.05),
    ("drop", "candidate", 0.005),
    ("reset", "all", 0.004),
)
"""Kind, whose traffic, seconds or share of frames. A dropped frame is no fault that a legacy TCP socket could have."""
CUT_S: Final = 0.3
"""In a storm every connection is cut, and nobody gets through for so long."""
CUT_SHARE: Final = 0.4
"""At so many of the steps."""
SETTLE_WITHIN_S: Final = 30.0
QUIET_WITHIN_S: Final = 40.0
ATTACH_PER_S: Final = 10.0


class MoveWork(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    devices: int = 1000
    gateways: int = 2
    rate: float = 300.0
    seed: int = 1
    kinds: tuple[DeviceKind, ...] = KINDS
    steps: tuple[float, ...] = STEPS
    between_s: float = BETWEEN_S
    storms: bool = False
    """Whether every connection is cut at once now and then. All come back together, which costs a busy machine seconds
    for a thousand devices: longer than commands wait."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """One step."""

    percentage: float
    previewed: int
    """Devices that the routers' previews said would move."""
    moved: int
    """Devices whose old path was settled."""
    previewed_unconfirmed: int
    """Messages that the previews, a moment before, said might not be confirmed."""
    announced: int
    """The same at the very turn: more messages were on their way then, or fewer."""
    resent: int
    indeterminate: int
    unconfirmed: int
    """Messages that legacy had written and nobody answered, and that could not be sent again; ledgers name them."""
    settled_ms: float
    cut: bool
    """Whether every connection was cut while this step moved."""


class MoveFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    devices: int
    gateways: int
    rate: float
    seed: int
    moves: tuple[Moved, ...]
    barriers: dict[BarrierName, Tally]
    struck: dict[str, int]
    """Frames that each fault struck."""
    disagreements: tuple[str, ...]
    """Where the gateways' ledgers contradict the logs."""
    seconds: float

    @property
    def forbidden(self) -> tuple[str, ...]:
        """What no barrier allows."""
        return tuple(line for tally in self.barriers.values() for line in tally.forbidden)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that must not be."""
        at_turns = sum(tally.at_turns for tally in self.barriers.values())
        announced = sum(one.announced for one in self.moves)
        over = [f"{at_turns} messages went wrong at turns, and {announced} were announced"] * (at_turns > announced)
        doubted = [
            f"{one.percentage:g} %: {one.indeterminate + one.unconfirmed} in doubt, and {one.announced} were announced"
            for one in self.moves
            if one.indeterminate + one.unconfirmed > one.announced
        ]
        return (*self.forbidden, *over, *doubted, *self.disagreements)


async def move_devices(work: MoveWork, run: Path, progress: Progress) -> MoveFigures:
    """Set the fleet up, move it to and fro under faults, count.

    Raises:
        StageFailed: when it can't be set up, or a step doesn't settle.
    """
    began = time.monotonic()
    troupe = Troupe(
        devices=work.devices,
        gateways=work.gateways,
        kinds=work.kinds,
        rate=work.rate,
        seed=work.seed,
        direct=False,
    )
    rng = Random(f"{work.seed}/move")
    moves: list[Moved] = []
    turns: list[Turn] = []
    async with staged(run, troupe, progress, percentage=0.0, within_s=60 + work.devices / ATTACH_PER_S) as stage:
        await stage.tell_fleets("resume")
        for kind, target, amount in FAULTS:
            await stage.tell_fleets("add", kind=kind, target=target, amount=amount)
        for percentage in work.steps:
            await anyio.sleep(work.between_s)
            moved, turn = await _step(stage, percentage, cut=work.storms and rng.random() < CUT_SHARE)
            moves.append(moved)
            turns.append(turn)
            progress(f"{percentage:g} %: {_in_words(moved)}")
        await anyio.sleep(work.between_s)
        struck = await _quiet(stage)
    progress("joining the logs of sources and devices")
    history = await anyio.to_thread.run_sync(stage.history)
    finding = stage.finding(history)
    return MoveFigures(
        devices=work.devices,
        gateways=work.gateways,
        rate=work.rate,
        seed=work.seed,
        moves=tuple(moves),
        barriers=tallies(history, finding.violations, fleet_names(work.devices, kinds=work.kinds), turns),
        struck=struck,
        disagreements=finding.disagreements,
        seconds=time.monotonic() - began,
    )


async def _step(stage: Stage, percentage: float, *, cut: bool) -> tuple[Moved, Turn]:
    present = stage.selector.read().selector
    assert present is not None, "nobody kills here"
    wanted = present.with_route(percentage=percentage, enabled=True).at_generation(present.generation + 1)
    previews = [await _ask(stage, name, "/preview", wanted, RoutePreview) for name in stage.files]
    if cut:
        await stage.tell_fleets("add", kind="cut", target="all", amount=CUT_S)
    since = time.time()
    receipts = await _apply(stage, wanted)
    until = time.time()
    generation = await stage.route(percentage)
    await stage.until_routed(generation, within_s=SETTLE_WITHIN_S)
    moved = Moved(
        percentage=percentage,
        previewed=sum(one.moves for one in previews),
        moved=sum(one.moved for one in receipts),
        previewed_unconfirmed=sum(one.unconfirmed for one in previews),
        announced=sum(one.announced for one in receipts),
        resent=sum(one.resent for one in receipts),
        indeterminate=sum(one.indeterminate for one in receipts),
        unconfirmed=sum(one.unconfirmed for one in receipts),
        settled_ms=max(one.settled_ms or 0.0 for one in receipts),
        cut=cut,
    )
    return moved, Turn(since=since, until=until)


async def _apply(stage: Stage, selector: Selector) -> list[MoveReceipt]:
    """Apply a selector on every router at once; the receipts once all has settled."""
    receipts: list[MoveReceipt] = []

    async def apply(name: str) -> None:
        receipts.append(await _ask(stage, name, "/selector?wait=settled", selector, MoveReceipt))

    async with anyio.create_task_group() as group:
        for name in stage.files:
            group.start_soon(apply, name)
    if any(one.settled_ms is None for one in receipts):
        raise StageFailed(f"{selector.percentage:g} %: not settled in time: {receipts}")
    return receipts


async def _ask(stage: Stage, name: str, target: str, selector: Selector, kind: type[Any]) -> Any:
    body = format_selector(selector).encode()
    try:
        answer = await request(stage.run / name, "POST", target, body=body, timeout_s=SETTLE_WITHIN_S)
        return msgspec.json.decode(answer.body, type=kind)
    except (RequestFailed, msgspec.DecodeError) as problem:
        raise StageFailed(f"{name} doesn't answer {target}: {problem}") from problem


async def _quiet(stage: Stage) -> dict[str, int]:
    """End the faults, let everything arrive, and return how many frames were struck."""
    struck: dict[str, int] = {}
    for answer in (await stage.tell_fleets("clear")).values():
        for kind, times in answer["struck"].items():
            struck[kind] = struck.get(kind, 0) + times
    await stage.tell_fleets("quiesce", within_s=QUIET_WITHIN_S)
    return struck


def _in_words(moved: Moved) -> str:
    return (
        f"{moved.moved:,} devices moved, {moved.announced} commands announced, {moved.resent} sent again, "
        f"{moved.indeterminate} indeterminate, settled in {moved.settled_ms:,.0f} ms{', cut' if moved.cut else ''}"
    )
