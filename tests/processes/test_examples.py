"""The examples run as written: two devices and a controller as processes, migrated while they are served."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run an example as a process, and end it."""
    command = [sys.executable, "-u", str(EXAMPLES / script), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(controller: subprocess.Popen[str], line: str) -> str:
    """Send a command and return the controller's answer."""
    assert controller.stdin is not None
    assert controller.stdout is not None
    controller.stdin.write(f"{line}\n")
    controller.stdin.flush()
    return controller.stdout.readline().strip()


def ask_until(controller: subprocess.Popen[str], line: str, end: str) -> int:
    """Send a command until it ends as expected; return how often it was sent."""
    for attempt in range(1, 500):
        if ask(controller, line).endswith(end):
            return attempt
    pytest.fail(f"{line!r} never ended with {end!r}")


def test_devices_are_moved_from_the_legacy_way_to_the_reliable_one_while_they_are_served():
    """Each command acts once and in order, before, across and after the move."""
    with running("controller.py", "0") as controller:
        assert controller.stdout is not None
        _, legacy, _, reliable = controller.stdout.readline().split()
        with running("device.py", "lamp", legacy, reliable) as lamp:
            assert lamp.stdout is not None
            assert lamp.stdout.readline() == "lamp ready\n"
            ask_until(controller, "lamp on", "by legacy")
            applied = [lamp.stdout.readline().strip()]
            while applied[-1] != "lamp on":
                applied.append(lamp.stdout.readline().strip())
            assert ask(controller, "lamp 1") == "lamp 1 written by legacy"
            assert controller.stdin is not None
            controller.stdin.write("share 100\n")
            assert ask(controller, "lamp 2") == "lamp 2 delivered by reliable"
            assert ask(controller, "lamp 3") == "lamp 3 delivered by reliable"
            controller.stdin.write("share 0\n")
            assert ask(controller, "lamp 4") == "lamp 4 written by legacy"
            assert [lamp.stdout.readline().strip() for _ in range(4)] == ["lamp 1", "lamp 2", "lamp 3", "lamp 4"]


def test_an_unknown_device_is_not_delivered_and_says_so():
    """The controller goes on after it."""
    with running("controller.py", "50") as controller:
        assert controller.stdout is not None
        controller.stdout.readline()
        assert "not_delivered" in ask(controller, "nobody on")
        assert "nobody is not attached" in ask(controller, "nobody on")


def test_plain_threads_send_and_learn_how_it_ended():
    """A device that is there, one that never called, and one whose process was replaced by another."""
    with running("threads.py") as controller:
        assert controller.stdout is not None
        _, port = controller.stdout.readline().split()
        for value in ("on", "off"):
            with running("threads.py", "lamp", port) as lamp:
                assert lamp.stdout is not None
                if value == "on":
                    assert controller.stdout.readline() == "lamp is here\n"
                # What was written to the process before it, and not answered, can only be indeterminate.
                ask_until(controller, f"lamp {value}", " delivered")
                assert lamp.stdout.readline() == f"lamp {value}\n"
        assert ask(controller, "nobody on") == "nobody on not_delivered it has never called"


@pytest.mark.parametrize("script", ["device.py", "controller.py", "threads.py"])
def test_each_example_fits_on_a_page(script: str):
    """Under 60 lines each, docstring included."""
    assert len((EXAMPLES / script).read_text().splitlines()) < 60
