"""`agt-tui`: attach to a running supervisor, or bring a demo along."""

import argparse
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from agt.tui._demo import Demo, DemoOptions, DemoUnusable


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agt-tui",
        description="The live screen of a migration.",
        epilog="Without --demo it attaches to a supervisor that runs already (`agt up PLAN`).",
    )
    parser.add_argument(
        "--attach", metavar="PATH", type=Path, help="the supervisor's socket (default: the run directory's)"
    )
    parser.add_argument("--read-only", action="store_true", help="show everything, change nothing")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    demo = parser.add_argument_group("demo")
    demo.add_argument("--demo", action="store_true", help="start a simulated fleet and migrate it before your eyes")
    demo.add_argument("--duration", metavar="TIME", default="3m", help="squeeze the plan into this time (default: 3m)")
    demo.add_argument("--devices", metavar="N", type=int, default=50, help="devices in the fleet (default: 50)")
    demo.add_argument("--seed", metavar="S", type=int, help="seed of the fleet's behaviour")
    demo.add_argument(
        "--run-dir", metavar="DIR", type=Path, help="where the demo keeps its records (default: a new one)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the screen; returns the exit status (0 done, 1 nobody to attach to, 2 wrong usage)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.demo and options.attach:
        parser.error("--demo starts a supervisor of its own; leave --attach away")
    if options.devices < 1:
        parser.error("--devices needs at least 1")
    if options.demo:
        return _demo(options)
    return _attach(options)


def _attach(options: argparse.Namespace) -> int:
    from agt.supervisor.client import NoSupervisor, default_socket  # noqa: PLC0415 - a demo starts its child first.

    path: Path = options.attach or default_socket()
    if reason := _unreachable(path):
        sys.stderr.write(f"agt-tui: {NoSupervisor(path, reason)}, or try `agt-tui --demo`\n")
        return 1
    _end_with_the_terminal(lambda: None)
    _run(path, options, None)
    return 0


def _demo(options: argparse.Namespace) -> int:
    chosen = DemoOptions(duration=options.duration, devices=options.devices, seed=options.seed, run_dir=options.run_dir)
    try:
        demo = Demo.start(chosen)  # Before the screen is loaded: they start side by side.
    except DemoUnusable as error:
        sys.stderr.write(f"agt-tui: {error}\n")
        return 1
    _end_with_the_terminal(demo.stop)
    try:
        _run(demo.socket, options, demo)
    finally:
        demo.stop()
        sys.stdout.write(f"{demo.epitaph()}\n")
    return 1 if demo.failed else 0


def _end_with_the_terminal(stop: Callable[[], None]) -> None:
    """End when the terminal is closed, after `stop`.

    Textual waits for ever to write to a terminal that is gone, and reads from it without a pause, so this ends the
    process without it. Not every closed terminal sends SIGHUP (ours may not be the controlling one): we watch it, too.
    """
    first = threading.Lock()

    def end() -> None:
        if first.acquire(blocking=False):
            stop()
            os._exit(128 + signal.SIGHUP)

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=end).start()  # An event loop may be running in this thread.

    def watch() -> None:
        poller = select.poll()
        poller.register(sys.stderr, 0)  # Nothing but a hang-up is reported.
        poller.poll()
        end()

    signal.signal(signal.SIGHUP, hang_up)
    if sys.stderr.isatty():
        threading.Thread(target=watch, daemon=True, name="terminal").start()


def _run(path: Path, options: argparse.Namespace, demo: Demo | None) -> None:
    from agt.tui._glyphs import terminal_glyphs  # noqa: PLC0415 - Textual takes half a second to load.
    from agt.tui.app import AgtApp  # noqa: PLC0415

    glyphs = terminal_glyphs(ascii_only=options.ascii)
    AgtApp(path, read_only=options.read_only, companion=demo, glyphs=glyphs).run()


def _unreachable(path: Path) -> str:
    """Return why nobody can be reached at the socket, or nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


if __name__ == "__main__":
    sys.exit(main())
