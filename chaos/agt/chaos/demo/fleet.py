"""The demo's fleet as a process: simulated devices behind the fault proxy, and the sources that command them.

`python -m agt.chaos.demo.fleet`; started by the supervisor. Devices dial three proxies (one a wire) in this very
process, the proxies dial the gateway; with `--direct` they dial the gateway itself, which leaves faults without a
place. Faults come in on `fleet.sock`: `{"op": "add", "kind", "target", "amount"}`, `{"op": "clear"}`,
`{"op": "dial", "count"}` (how many devices may have dialled), `{"op": "quiesce", "within_s"}` (no new commands;
answers when all are told), `{"op": "resume"}`, `{"op": "status"}`, `{"op": "refuse-cursors", "source", "count"}` (a
source of events answers so many reads with an invalid cursor).
"""

import argparse
import math
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import anyio
import anyio.abc
import msgspec

from agt.chaos.checkers import Told
from agt.chaos.demo._cync_device import CyncDevice
from agt.chaos.demo._device import REPLY_MAX_S, Device
from agt.chaos.demo._files import CONTROL, DemoFiles, Ports, demo_files
from agt.chaos.demo._fleet_faults import FleetFaults
from agt.chaos.demo._lines_device import LinesDevice
from agt.chaos.demo._log import RecordLog
from agt.chaos.demo._memory import Memory, recall
from agt.chaos.demo._names import KINDS, DeviceKind, DeviceName, fleet_names
from agt.chaos.demo._scopes import Routes
from agt.chaos.demo._sources import Sources
from agt.chaos.demo._talk import serve_questions
from agt.chaos.demo._twin import serve_control_twin, serve_twin
from agt.chaos.demo.events import EventLog, EventSource, EventTimes
from agt.chaos.proxy import FaultProxy, WireName
from agt.router import keep_collections_short
from agt.router.notifying import notify
from agt.transport import Outcome

WIRES: tuple[WireName, ...] = ("cync", "lines", "native")
NOWHERE = ("127.0.0.1", 9)
"""Where a proxy points before the gateway has said where it listens: nobody answers at the discard port."""
PORTS_LOOK_S = 0.2


class Fleet:
    """Devices, sources and proxies of one run."""

    def __init__(
        self,
        files: DemoFiles,
        names: tuple[DeviceName, ...],
        *,
        rate: float,
        seed: int,
        memory: Memory,
        direct: bool = False,
        dialling: float = math.inf,
        first: int = 0,
    ) -> None:
        """Make a fleet that goes on where `memory` left off; everything is drawn from `seed`."""
        self.names = names
        self._files, self._direct = files, direct
        self._dialling, self._dialled, self._more = dialling, 0, anyio.Event()
        self._devices_log, self._sources_log = RecordLog(files.devices_log), RecordLog(files.sources_log)
        self._note_unanswered(memory)
        self._rng = {name.id: Random(f"{seed}/{name.id}") for name in self.names}
        self._devices = [Device(name, self._devices_log, self._rng[name.id]) for name in self.names]
        for device in self._devices:
            device.remember(memory.watermarks.get(device.id, 0))
        self._event_logs: list[EventLog] = []
        self._event_sources: dict[str, EventSource] = {}
        kinds: list[DeviceKind] = sorted({one.kind for one in names})
        for kind in kinds:
            self._event_sources[kind] = self._event_source(kind, first)
        self.sources = Sources(
            self.names,
            rate=rate,
            rng=Random(f"{seed}/sources"),
            log=self._sources_log,
            numbers=memory.numbers,
            control=CONTROL,
        )
        self._proxies = {wire: FaultProxy(NOWHERE, wire=wire, rng=Random(f"{seed}/proxy/{wire}")) for wire in WIRES}
        routes = Routes(files.selector, tuple(name.id for name in self.names), time.time)
        self._faults = FleetFaults(tuple(self._proxies.values()), routes)

    async def run(self) -> None:
        """Live until cancelled."""
        async with AsyncExitStack() as stack:
            for proxy in self._proxies.values():
                await stack.enter_async_context(proxy)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for job in (self._follow_gateway, self._faults.follow, self._keep_log, self.sources.keep_log):
                tasks.start_soon(job)
            tasks.start_soon(serve_questions, self._files.fleet_socket, self._answer)
            tasks.start_soon(keep_collections_short, lambda: self._dialled)
            tasks.start_soon(serve_twin, self._files.twin_socket)
            tasks.start_soon(serve_control_twin, self._files.control_twin_socket)
            tasks.start_soon(self.sources.run, self._files.sources_socket)
            for source in self._event_sources.values():
                tasks.start_soon(source.run, self._files.events_socket, self._files.nonce)
            notify("READY=1")
            await self._start_devices(tasks, await self._ports())

    def close(self) -> None:
        """Write down what is still in memory."""
        self.sources.finish()
        for source in self._event_sources.values():
            source.flush()
        for log in self._event_logs:
            log.close()
        self._devices_log.close()
        self._sources_log.close()

    def _event_source(self, kind: DeviceKind, first: int) -> EventSource:
        """Make the source of one kind of device; those of other processes of the fleet have names of their own."""
        name = f"{kind}{f'-{first}' if first else ''}"
        log = EventLog(self._files.event_log(name))
        self._event_logs.append(log)
        known = f"{name}{'-' if self._files.gateway else ''}{self._files.gateway}"
        source = EventSource(known, log, identity=self._files.fleet_socket, times=EventTimes.from_environment())
        for device in self._devices:
            if device.kind == kind:
                device.report = source.note
        return source

    async def _ports(self) -> Ports:
        """Return where devices dial: our proxies, or the gateway itself once it has said where it listens."""
        if not self._direct:
            return Ports(**{wire: proxy.port for wire, proxy in self._proxies.items()})
        while True:
            if ports := self._files.read_ports():
                return ports
            await anyio.sleep(PORTS_LOOK_S)

    async def _start_devices(self, tasks: anyio.abc.TaskGroup, ports: Ports) -> None:
        for number, device in enumerate(self._devices):
            while number >= self._dialling:
                self._more = anyio.Event()
                await self._more.wait()
            self._dialled = number + 1
            rng = self._rng[device.id]
            if device.kind == "cync":
                tasks.start_soon(CyncDevice(device, rng).run, ports.cync)
            else:
                lines = LinesDevice(device, rng)
                tasks.start_soon(lines.run, ports.lines, ports.native)

    async def _follow_gateway(self) -> None:
        while True:
            if ports := self._files.read_ports():
                for wire, proxy in self._proxies.items():
                    proxy.target = ("127.0.0.1", getattr(ports, wire))
            await anyio.sleep(PORTS_LOOK_S)

    async def _keep_log(self) -> None:
        while True:
            await anyio.sleep(0.05)
            self._devices_log.flush()

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        operation = question.get("op")
        if operation == "add":
            self._faults.add(str(question.get("kind")), str(question.get("target")), float(question.get("amount", 0.0)))
        elif operation == "clear":
            self._faults.clear()
        elif operation == "dial":
            self._dialling = float(question.get("count", math.inf))
            self._more.set()
        elif operation == "resume":
            self.sources.paused = False
        elif operation == "refuse-cursors":
            self._refuse_cursors(str(question.get("source")), int(question.get("count", 1)))
        elif operation == "quiesce":
            await self._quiesce(float(question.get("within_s", 5.0)))
        elif operation != "status":
            known = "add, clear, dial, quiesce, refuse-cursors, resume, status"
            raise ValueError(f"unknown operation {operation!r}; there are {known}")
        return {
            "outstanding": self.sources.outstanding,
            "held_back": self.sources.held_back,
            "struck": self._faults.struck,
        }

    def _refuse_cursors(self, source: str, count: int) -> None:
        if source not in self._event_sources:
            raise ValueError(f"no source of events {source!r}; there are {', '.join(self._event_sources)}")
        self._event_sources[source].refusing = count

    async def _quiesce(self, within_s: float) -> None:
        """Let what is on its way arrive: no new commands, then the longest that a legacy write can still travel."""
        self.sources.paused = True
        with anyio.move_on_after(within_s):
            await self.sources.all_told()
        await anyio.sleep(REPLY_MAX_S)
        self._devices_log.flush()

    def _note_unanswered(self, memory: Memory) -> None:
        for sent in memory.unanswered:
            told = Told(
                t=time.time(),
                device=sent.device,
                number=sent.number,
                outcome=Outcome.INDETERMINATE,
                runtime="",
                by="source",
                reason="the source was restarted",
            )
            self._sources_log.add(told)
        self._sources_log.flush()


async def live(fleet: Fleet) -> None:
    """Run until told to end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fleet.run)
            async for _ in signals:
                notify("STOPPING=1")
                tasks.cancel_scope.cancel()
                break


def main(arguments: list[str] | None = None) -> int:
    """Start the fleet; options default to the environment that `agt demo` sets."""
    parser = argparse.ArgumentParser(prog="python -m agt.chaos.demo.fleet", description="The demo's simulated fleet.")
    parser.add_argument("--devices", type=int, default=int(os.environ.get("AGT_DEMO_DEVICES", "50")))
    parser.add_argument("--rate", type=float, default=None, help="commands a second over all devices")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("AGT_DEMO_SEED", "1")))
    parser.add_argument("--first", type=int, default=0, help="how many devices other processes have before ours")
    parser.add_argument("--kinds", default=",".join(KINDS), help="what they are, in turn")
    parser.add_argument("--dialling", type=float, default=math.inf, help="only so many dial before `dial` says more")
    parser.add_argument("--paused", action="store_true", help="no commands before `resume`")
    parser.add_argument("--direct", action="store_true", help="dial the gateway itself, no proxy between")
    options = parser.parse_args(arguments)
    rate = (
        options.rate if options.rate is not None else float(os.environ.get("AGT_DEMO_RATE", "") or options.devices * 5)
    )
    files = demo_files()

    async def run() -> None:
        kinds = msgspec.convert(options.kinds.split(","), tuple[DeviceKind, ...])
        names = fleet_names(options.devices, first=options.first, kinds=kinds)
        memory = recall(files)
        fleet = Fleet(
            files,
            names,
            rate=rate,
            seed=options.seed,
            memory=memory,
            direct=options.direct,
            dialling=options.dialling,
            first=options.first,
        )
        fleet.sources.paused = options.paused
        try:
            await live(fleet)
        finally:
            fleet.close()

    try:
        anyio.run(run)
    except (ValueError, OSError) as problem:
        sys.stderr.write(f"fleet: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
