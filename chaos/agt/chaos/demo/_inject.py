"""How a fault of the command line is done to a running demo."""

import contextlib
import os
import signal
from pathlib import Path

import msgspec

from agt.chaos.demo._fault_spec import FaultSpec
from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._talk import NoAnswer, ask


class _Record(msgspec.Struct):
    """The part of `components/NAME.json` that is needed here."""

    pid: int


async def inject(spec: FaultSpec, files: DemoFiles) -> None:
    """Do it.

    Raises:
        NoAnswer: when whoever has to do it isn't there.
    """
    if spec.kind == "kill":
        kill_component(files.run, spec.target)
    elif spec.kind == "lose":
        await ask(files.hook_socket, {"op": "lose", "count": int(spec.amount)})
    else:
        question = {"op": "add", "kind": spec.kind, "target": spec.target, "amount": spec.amount}
        await ask(files.fleet_socket, question)


def kill_component(run: Path, name: str) -> None:
    """Kill a component's process without a warning, as a crash would.

    Raises:
        NoAnswer: when it isn't known to run.
    """
    pid = component_pid(run, name)
    if pid is None:
        raise NoAnswer(f"the component {name} is not running")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def component_pid(run: Path, name: str) -> int | None:
    """Return the process of a component by the supervisor's record, None when there is none."""
    try:
        return msgspec.json.decode((run / "components" / f"{name}.json").read_bytes(), type=_Record).pid
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
