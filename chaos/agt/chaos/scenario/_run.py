"""Runs a scenario: senders here, the receiver in its own process, the fault proxy between them, real sockets.

The verdict comes from what both ends wrote down, by the checkers; the transport is never asked how it went.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import anyio
import anyio.abc
import msgspec

from agt.chaos.checkers import (
    Counts,
    Record,
    Sent,
    Told,
    Violation,
    count,
    join,
    nothing_doubled,
    nothing_lost,
    nothing_untrue,
    order_kept,
    read_records,
)
from agt.chaos.proxy import FaultProxy, Scope, everything, towards
from agt.chaos.scenario._peer import Receiver
from agt.chaos.scenario._spec import FaultStep, KillStep, Scenario
from agt.transport import Delivery, ReliableTransport, TCPConnection

GRACE_S = 5.0
"""Every message has to have ended this long after the last deadline."""
QUEUE_MAX = 10_000
"""Send queue of each sender: a scenario is about faults, not about full queues."""
PROBLEMS_MAX = 20

_SCOPES: dict[str, Scope] = {
    "both": everything,
    "to_receiver": towards("to_target"),
    "to_sender": towards("to_client"),
}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one scenario."""

    scenario: str
    seed: int
    passed: bool
    counts: Counts
    struck: dict[str, int]
    """How many frames each kind of fault struck."""
    kills: int
    seconds: float
    problems: tuple[str, ...]
    """Why it failed, in words."""
    replay: str
    """The command that runs it again."""


async def run_scenario(scenario: Scenario, *, source: str, seed: int | None = None) -> Verdict:
    """Run a scenario to its end and judge it.

    Args:
        scenario: What to run.
        source: The file or name it came from, for the replay command.
        seed: Instead of the scenario's own.
    """
    seed = scenario.seed if seed is None else seed
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agt-chaos-") as folder:
        run = _Run(scenario, Path(folder), Random(f"{scenario.name}/{seed}"))
        await run.play()
        devices = read_records(run.receiver.log)
    history = join(run.records, devices)
    counts = count(history)
    checks = (nothing_lost, nothing_doubled, order_kept, nothing_untrue)
    violations = [violation for check in checks for violation in check(history)]
    problems = _problems(scenario, counts, violations, sum(run.struck.values()) + run.receiver.kills)
    return Verdict(
        scenario=scenario.name,
        seed=seed,
        passed=not problems,
        counts=counts,
        struck=dict(run.struck),
        kills=run.receiver.kills,
        seconds=round(time.monotonic() - began, 3),
        problems=tuple(problems[:PROBLEMS_MAX]),
        replay=f"agt chaos run {source} --seed {seed}",
    )


class _Run:
    """One run: who talks, what breaks, what was written down."""

    def __init__(self, scenario: Scenario, folder: Path, rng: Random) -> None:
        self.records: list[Record] = []
        self.receiver = Receiver(folder)
        self._scenario, self._rng = scenario, rng
        self._proxy = FaultProxy(str(self.receiver.socket), wire="native", rng=rng)
        self._killing = anyio.Lock()
        self._open = 0
        self._ended = anyio.Event()

    @property
    def struck(self) -> dict[str, int]:
        """How many frames each kind of fault struck."""
        return self._proxy.struck

    async def play(self) -> None:
        """Send everything and wait until every message has ended."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.receiver)
            await stack.enter_async_context(self._proxy)
            senders = [await self._sender(stack, index) for index in range(self._scenario.senders)]
            troubles = await stack.enter_async_context(anyio.create_task_group())
            for step in self._scenario.fault:
                troubles.start_soon(self._break, step)
            for kill in self._scenario.kill:
                troubles.start_soon(self._kill, kill)
            await self._talk(senders)
            with anyio.move_on_after(self._scenario.deadline_s + GRACE_S):
                while self._open:
                    self._ended = anyio.Event()
                    await self._ended.wait()
            troubles.cancel_scope.cancel()

    async def _sender(self, stack: AsyncExitStack, index: int) -> ReliableTransport:
        transport = ReliableTransport(
            TCPConnection("127.0.0.1", self._proxy.port),
            name=f"sender-{index + 1}",
            max_retries=self._scenario.max_retries,
            send_queue_max=QUEUE_MAX,
        )
        return await stack.enter_async_context(transport)

    async def _talk(self, senders: list[ReliableTransport]) -> None:
        began, gap_s = anyio.current_time(), 1 / self._scenario.rate
        for index in range(self._scenario.messages):
            await anyio.sleep_until(began + index * gap_s)
            which, number = index % len(senders), index // len(senders) + 1
            name = f"sender-{which + 1}"
            self.records.append(Sent(t=time.time(), device=name, number=number))
            self._open += 1
            delivery = senders[which].send_nowait(f"{name} {number}".encode(), deadline_s=self._scenario.deadline_s)
            delivery.add_done_callback(self._telling(name, number))

    def _telling(self, name: str, number: int) -> Callable[[Delivery], None]:
        def tell(delivery: Delivery) -> None:
            assert delivery.outcome is not None, "only a settled handle calls back"
            told = Told(
                t=time.time(),
                device=name,
                number=number,
                outcome=delivery.outcome,
                runtime="reliable",
                resends=delivery.resends,
                reason=delivery.reason,
            )
            self.records.append(told)
            self._open -= 1
            self._ended.set()

        return tell

    async def _break(self, step: FaultStep) -> None:
        await anyio.sleep(step.at_s)
        duration = {} if step.for_s is None else {"for_s": step.for_s}
        self._proxy.add(step.make(), _SCOPES[step.direction], probability=step.probability, **duration)

    async def _kill(self, step: KillStep) -> None:
        await anyio.sleep(step.at_s)
        async with self._killing:  # On a busy machine a restart may take longer than until the next kill.
            await self.receiver.kill()
            await anyio.sleep(step.down_s)
            await self.receiver.start()


def _problems(scenario: Scenario, counts: Counts, violations: list[Violation], struck: int) -> list[str]:
    expect = scenario.expect
    found = []
    for word, seen, limit in (
        ("indeterminate", counts.indeterminate, expect.indeterminate_at_most),
        ("not delivered", counts.not_delivered, expect.not_delivered_at_most),
    ):
        if seen > limit:
            found.append(f"{seen} messages are {word}, at most {limit} may be")
    if struck < expect.struck_at_least:
        found.append(f"faults struck {struck} times, at least {expect.struck_at_least} were expected")
    return found + [f"{v.check}: {v.device} #{v.number}: {v.says}" for v in violations]
