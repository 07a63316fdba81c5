"""Any history of sessions: never cut before the deadline, pins held, kills obeyed, one owner, every command ends."""

from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agt.router import (
    Ledger,
    MemorySelector,
    Message,
    MoveLimits,
    Restart,
    RestartOrder,
    Route,
    Router,
    Runtimes,
    Selector,
    Withdrawn,
)
from agt.router._move import MoveState
from agt.router.testing import ManualClock, ScriptedDevice, ScriptedPath
from agt.transport import Barrier, Delivery

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
LIMITS = MoveLimits()
NAMES = ("a", "b")
"""The first is on the candidate at 30 %, the second is not."""
LONG_S = 31.0
"""Longer than a session outlives its last attachment."""
RUNTIME_NAMES = (RUNTIMES.control, RUNTIMES.candidate)

Step = tuple[str, tuple[Any, ...]]


def steps(name: str, *arguments: tuple[Any, ...], times: int = 1) -> list[Step]:
    """The same action with each of these arguments, as likely as so many others."""
    return [(name, each) for each in arguments or ((),) for _ in range(times)]


TROUBLES = ("connect", "connect", "detach", "drop", "leave", "replace")
CONNECTIONS = [(name, runtime, trouble) for name in NAMES for runtime in RUNTIME_NAMES for trouble in TROUBLES]
SCRIPT = st.lists(
    st.sampled_from(
        [
            *steps("send", *((name,) for name in NAMES), times=10),
            *steps("answer", *((name,) for name in NAMES), times=4),
            *steps("route", *((share, pin) for share in (0.0, 30.0, 100.0) for pin in (False, True)), times=2),
            *steps("restart", (("a",), False), (("b",), False), (("a", "b"), False), (("a", "b"), True), times=3),
            *steps("time", (0.1,), (0.9,), (3.6,), (3.6,), (4.1,), (LONG_S,), times=2),
            *steps("connections", *CONNECTIONS),
            *steps("session", *((name, session) for name in NAMES for session in ("", "one", "two"))),
            *steps("kill"),
            *steps("unkill", times=3),
        ]
    ),
    min_size=10,
    max_size=40,
)
"""Mostly what a day is made of; trouble now and then."""


class WatchedPath(ScriptedPath):
    """A path that notes when it is taken from a device with commands unanswered, and refuses who doesn't own it."""

    def __init__(self, machine: "Sessions", name: str, runtime: str, barrier: Barrier) -> None:
        super().__init__(machine.clock, machine.far[name], barrier=barrier, legacy=runtime == RUNTIMES.control)
        self.machine, self.name, self.runtime = machine, name, runtime

    def send(self, message: Message) -> Delivery:
        """Carry a message, of the owner's."""
        assert self.machine.router.runtime_of(self.name) == self.runtime, "only the owner's path writes to the device"
        return super().send(message)

    def withdraw(self) -> Withdrawn:
        """Give back what is unsettled; the machine decides whether that was allowed."""
        if self.in_flight or self.queued:
            self.machine.left(self)
        return super().withdraw()

    def close(self, reason: str) -> None:
        """Be closed by a restart: with nothing on the way."""
        assert not self.in_flight, "a restart closes what is drained"
        super().close(reason)


class Sessions:
    """A router on a clock that is moved by hand, with two devices."""

    def __init__(self, barrier: Barrier) -> None:
        self.barrier = barrier
        self.clock = ManualClock()
        self.source = MemorySelector(self.selector(0.0, pin=False, generation=1))
        self.router = Router(
            self.source, runtimes=RUNTIMES, clock=self.clock, wall=self.clock, ledger=Ledger(), limits=LIMITS
        )
        self.far = {name: ScriptedDevice() for name in NAMES}
        self.paths: dict[tuple[str, str], WatchedPath] = {}
        self.fenced: dict[str, float] = {}
        self.handles: list[Delivery] = []
        self.restarts: list[tuple[tuple[str, ...], Restart]] = []
        self.held: set[str] = set()
        self.losing = False
        self.cuts = self.number = 0
        for name in NAMES:
            for runtime in RUNTIME_NAMES:
                self.attach(name, runtime)

    def selector(self, percentage: float, *, pin: bool, generation: int) -> Selector:
        """A selector at a share."""
        fields = Route(enabled=True, percentage=percentage, pin_live_sessions=pin)
        return Selector(runtimes=RUNTIMES, generation=generation, runtime=fields)

    def device(self, name: str) -> Any:
        """What the router keeps about a device; None when it has gone."""
        return self.router._state.devices.get(name)

    def left(self, path: WatchedPath) -> None:
        """A path was taken away with commands unanswered: only a lost attachment or the deadline may do that."""
        if self.losing:
            return
        shortest = LIMITS.sequence_drain_s if path.barrier is Barrier.SEQUENCE else LIMITS.back_drain_s
        if path.barrier is Barrier.SEQUENCE and not path.ready:
            shortest = 0.0  # Nothing is waited for where nothing can be answered, and the device drops doubles.
        waited = self.clock.now - self.fenced.get(path.name, self.clock.now)
        assert waited >= shortest, f"{path.name} was cut after {waited:g} s"
        self.cuts += 1

    # What can happen

    def connections(self, name: str, runtime: str, trouble: str) -> None:
        """Something happens to a connection: it comes anew, is gone for good, falls silent or is back."""
        path = self.paths.get((name, runtime))
        if trouble == "leave":
            self.leave(name)
        elif path is None or trouble == "replace":
            self.attach(name, runtime)
        elif trouble == "detach":
            del self.paths[name, runtime]
            self.lose(lambda: self.router.detach(name, {runtime: path}))
        elif trouble == "drop":
            path.ready = False
        else:
            path.connect()

    def session(self, name: str, session: str) -> None:
        """A session ends by the application's word, or under another's name; the connections stay."""
        known = self.device(name)
        if known is None:
            return
        if session != (known.session or name):
            self.held.discard(name)
        if session:
            self.router.attach(name, {}, session=session)
        else:
            self.router.end_session(name)

    def send(self, name: str) -> None:
        """A command comes."""
        self.number += 1
        self.handles.append(self.router.send(Message(name, self.number, b"set", deadline_s=20.0)))

    def answer(self, name: str) -> None:
        """A device answers all that has been written to it."""
        for runtime in RUNTIME_NAMES:
            if path := self.paths.get((name, runtime)):
                path.arrive()
                path.answer()

    def route(self, percentage: float, pin: bool) -> None:
        """The selector changes."""
        if self.router.killed:
            return
        if pin:
            self.held |= {name for name in NAMES if self.lives_on_control(name)}
        else:
            self.held.clear()
        generation = self.router.status().generation + 1
        self.router.apply(self.selector(percentage, pin=pin, generation=generation))

    def restart(self, which: tuple[str, ...], redial: bool) -> None:
        """An operator restarts sessions."""
        self.held -= set(which)
        order = RestartOrder(sessions=which, redial=redial)
        self.restarts.append((order.sessions, self.router.restart_sessions(order)))

    def kill(self) -> None:
        """Everything goes to control, pinned or not."""
        self.router.kill("test")
        self.held.clear()
        for name in NAMES:
            known = self.device(name)
            assert known is None or (known.target, known.pinned) == (RUNTIMES.control, False)

    def unkill(self) -> None:
        """An operator puts a selector back."""
        if not self.router.killed:
            return
        self.source.put(self.selector(0.0, pin=False, generation=self.router.status().generation + 1))
        self.router.observe(self.source.read())

    def time(self, seconds: float) -> None:
        """Time passes, and what is due is done."""
        self.clock.advance(seconds)
        self.router.handle_timer()
        for name in NAMES:
            known = self.device(name)
            if known is not None and not known.paths and self.clock.now - known.absent_since > LONG_S - 1:
                assert known.began is None, "a session outlives its last attachment by half a minute at most"
                self.held.discard(name)

    def attach(self, name: str, runtime: str) -> None:
        """A connection comes; an older one in its place is gone."""
        path = self.paths[name, runtime] = WatchedPath(self, name, runtime, self.barrier)
        self.lose(lambda: self.router.attach(name, {runtime: path}))

    def leave(self, name: str) -> None:
        """A device is gone altogether."""
        for runtime in RUNTIME_NAMES:
            self.paths.pop((name, runtime), None)
        self.lose(lambda: self.router.detach(name))
        self.held.discard(name)

    # What always holds

    def lose(self, act: Any) -> None:
        """Do what takes a connection away, which no drain can wait for."""
        self.losing = True
        try:
            act()
        finally:
            self.losing = False

    def lives_on_control(self, name: str) -> bool:
        """Tell whether a session lives on control on purpose, and isn't on its way elsewhere."""
        known = self.device(name)
        if known is None or known.began is None or known.vetoed:
            return False
        return bool(known.state is MoveState.CARRYING and known.runtime == RUNTIMES.control)

    def check(self) -> None:
        """Look at everything that must hold after each step."""
        self.fences_are_noted()
        self.pins_hold()
        self.counts_are_right()
        self.receipts_name_everybody_once()

    def fences_are_noted(self) -> None:
        """When each device began to drain."""
        for name in NAMES:
            known = self.device(name)
            if known is None or known.state is not MoveState.DRAINING:
                self.fenced.pop(name, None)
            else:
                self.fenced.setdefault(name, self.clock.now)

    def pins_hold(self) -> None:
        """A session that was pinned is where it was, until it ends, the pin is taken off, or a kill comes."""
        for name in self.held:
            known = self.device(name)
            assert known is None or (known.runtime, known.target) == (RUNTIMES.control, RUNTIMES.control)

    def counts_are_right(self) -> None:
        """Live sessions are counted where they live; every cut is counted; every handle is somewhere."""
        status = self.router.status()
        live = [known for name in NAMES if (known := self.device(name)) and known.began is not None]
        for runtime, counted in status.runtimes.items():
            assert counted.sessions == sum(known.runtime == runtime for known in live)
        listed = self.router.sessions()
        assert {one.device for one in listed.sessions} == {known.name for known in live}
        assert status.sessions.cut == self.cuts
        in_flight = sum(counts.in_flight for counts in self.router.ledger.totals.values())
        assert in_flight == sum(not handle.done for handle in self.handles)

    def receipts_name_everybody_once(self) -> None:
        """Each session of an order is in one list, whatever happened since."""
        for asked, restart in self.restarts:
            receipt = restart.receipt()
            lists = (receipt.restarted, receipt.timed_out, receipt.waiting, receipt.moving, receipt.unchanged)
            assert sorted((*(name for one in lists for name in one), *receipt.refused)) == sorted(asked)

    def heal(self) -> None:
        """Bring every connection back and let everything be answered."""
        for _ in range(5):
            for path in self.paths.values():
                path.connect()
                path.arrive()
                path.answer()
            self.clock.advance(6.0)
            self.router.handle_timer()
            self.check()


@settings(max_examples=120, deadline=None)
@given(script=SCRIPT, barrier=st.sampled_from([Barrier.ACK, Barrier.SEQUENCE]))
@example(  # Cut at the deadline, and not before: the command is never answered.
    script=[("send", ("a",)), ("route", (100.0, False)), ("time", (0.9,)), ("time", (3.6,))], barrier=Barrier.ACK
)
def test_sessions_are_never_cut_and_every_command_ends(script: list[Step], barrier: Barrier) -> None:
    """Whatever happens, and then everything heals: every command has ended, and no session drains any more."""
    world = Sessions(barrier)
    for name, arguments in script:
        act: Callable[..., None] = getattr(world, name)
        act(*arguments)
        world.check()
    world.heal()
    assert all(handle.done for handle in world.handles)
    assert world.router.status().moves.moving == 0
    assert all(restart.receipt().moving == () for _, restart in world.restarts)
