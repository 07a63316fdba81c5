"""The guide's controller and device, as printed, from the wheel alone: over TLS, killed under load, nothing lost.

The environment holds what is in the wheel and what the wheel asks for, nothing else; certificates are made by the
guide's own commands. The judge joins what the device says it has kept, the tables of both sides, and what was ordered.
"""

import contextlib
import importlib.util
import itertools
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.guide import blocks

ROOT = Path(__file__).resolve().parents[2]
ASKED_FOR = ("anyio", "idna", "msgspec", "tomli_w", "tomlkit", "typing_extensions")
"""The modules of what a plain install brings."""
ORDERS = 40
"""Commands that each life of the controller finds new."""
WITHIN_S = 30.0
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the guide's certificates need openssl")


def environment(folder: Path) -> Path:
    """Make one with the wheel and its dependencies; return its Python."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=50)
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for module in ASKED_FOR:
        spec = importlib.util.find_spec(module)
        assert spec is not None, f"{module} is missing"
        assert spec.origin is not None, f"{module} is no ordinary module"
        where = Path(spec.origin)
        where = where.parent if where.name == "__init__.py" else where
        (packages / where.name).symlink_to(where)
    return folder / "venv" / "bin" / "python"


class Pair:
    """The two programs in one folder, and what they have said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = environment(folder)
        controller, device = blocks("A controller that may be killed")
        (folder / "controller.py").write_text(controller, encoding="utf-8")
        (folder / "device.py").write_text(device, encoding="utf-8")
        (commands,) = blocks("TLS and keys", "sh")
        subprocess.run(["sh", "-ec", commands], cwd=folder, check=True, capture_output=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.ordered = 0

    def start(self, name: str, *arguments: str, readings: list[str] | None = None) -> None:
        """Start one; the controller listens when this returns."""
        (self.folder / f"{name}.in").write_text("".join(f"{line}\n" for line in readings or ()), encoding="utf-8")
        command = [self.python, "-I", "-u", f"{name}.py", *arguments, str(self.port)]
        with (
            (self.folder / f"{name}.in").open("rb") as given,
            (self.folder / f"{name}.out").open("ab") as said,
            (self.folder / f"{name}.err").open("ab") as complained,
        ):
            heard = (self.folder / f"{name}.out").stat().st_size
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, stdin=given, stdout=said, stderr=complained, text=True
            )
        if name == "controller":
            self.until(lambda: (self.folder / "controller.out").stat().st_size > heard)

    def kill(self, name: str) -> None:
        """End one by SIGKILL; it must have lived until then."""
        process = self.processes.pop(name)
        assert process.poll() is None, self.complaints()
        process.kill()
        process.wait()

    def let_live(self, seconds: float) -> None:
        """Let them run for a while."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.processes["controller"].wait(seconds)

    def order(self, count: int) -> None:
        """Put commands into the controller's table, from this process."""
        with closing(sqlite3.connect(self.folder / "controller.db", timeout=10)) as database, database:
            rows = [("lamp-7", f"set 1 {self.ordered + place}") for place in range(count)]
            database.executemany("INSERT INTO commands (device, text) VALUES (?, ?)", rows)
        self.ordered += count

    def rows(self, file: str, query: str) -> list[tuple[str, ...]]:
        """Ask one of the databases."""
        with closing(sqlite3.connect(self.folder / file, timeout=10)) as database:
            return database.execute(query).fetchall()

    def kept(self) -> list[str]:
        """Return the readings that the device has said it keeps, in order."""
        lines = (self.folder / "device.out").read_text(encoding="utf-8").splitlines()
        return [line.removeprefix("kept ") for line in lines]

    def complaints(self) -> str:
        """Return what was said on standard error."""
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.err")))

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what the processes bring about."""
        give_up_at = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < give_up_at, f"never came: {self.complaints()}"
            assert all(process.poll() is None for process in self.processes.values()), self.complaints()
            self.let_live(0.01)

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Both programs, not started."""
    made = Pair(tmp_path)
    yield made
    made.close()


def live_through(pair: Pair, readings: int, rounds: list[tuple[str, ...]], rng: random.Random, span_s: float) -> None:
    """Run both under load, kill as given, let everything settle, and judge."""
    numbers = [f"reading {number}" for number in range(readings)]
    doubtful: set[str] = set()  # In hand when its device was killed, so perhaps taken twice.
    pair.start("controller")
    pair.start("device", "lamp-7", readings=numbers)
    for victims in rounds:
        pair.order(ORDERS)
        pair.let_live(span_s * rng.uniform(0.3, 1))
        for victim in victims:
            pair.kill(victim)
        if "controller" in victims:
            pair.start("controller")
        if "device" in victims:
            left = numbers[numbers.index(pair.kept()[-1]) + 1 :] if pair.kept() else numbers
            doubtful.update(left[:1])
            pair.start("device", "lamp-7", readings=left)
    pair.until(lambda: len(set(pair.kept())) == readings)
    pair.until(lambda: pair.rows("controller.db", "SELECT count(DISTINCT value) FROM readings") == [(readings,)])
    pair.until(lambda: pair.rows("controller.db", "SELECT count(*) FROM commands WHERE NOT done") == [(0,)])
    taken = [value for (value,) in pair.rows("controller.db", "SELECT value FROM readings WHERE device = 'lamp-7'")]
    assert [value for value, _ in itertools.groupby(taken)] == numbers, "lost, or out of order"
    assert {value for value in taken if taken.count(value) > 1} <= doubtful, "applied twice"
    commanded = pair.rows("controller.db", "SELECT number, text FROM commands ORDER BY number")
    assert len(commanded) == pair.ordered
    assert pair.rows("lamp-7.db", "SELECT number, command FROM done ORDER BY number") == commanded
    assert pair.complaints() == ""


def test_a_controller_that_is_killed_comes_back_without_a_loss(pair: Pair) -> None:
    """Three kills of the controller while readings and commands flow; what is imported is the wheel's."""
    look = "import agt.transport.durable as it; print(it.__file__)"
    where = subprocess.run([pair.python, "-I", "-c", look], check=True, capture_output=True, text=True).stdout
    assert where.startswith(str(pair.folder))
    live_through(pair, 400, [("controller",)] * 3, random.Random(8), 0.5)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_either_program_of_the_guide_may_be_killed_at_any_moment(
    pair: Pair, seed: int, figure: Callable[[str, float], None]
) -> None:
    """Ten rounds: the controller, the device, or both."""
    rng = random.Random(seed)
    rounds = [rng.choice((("controller",), ("device",), ("controller", "device"))) for _ in range(10)]
    live_through(pair, 2000, rounds, rng, 1.0)
    figure("kills", sum(map(len, rounds)))
