"""`kill -9` of sender, receiver or both, at any moment: nothing lost, nothing applied twice, order kept.

The judge is neither side's own account: the sender's log, which it writes line by line as it goes, is joined with the
table that the receiver's commits have filled.
"""

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent.parent / "support"
WITHIN_S = 30.0


@dataclass
class Pair:
    """A sender and a receiver that are killed and started again."""

    folder: Path
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, name: str, mode: str = "send") -> None:
        """Start the sender or the receiver."""
        arguments = [self.folder / f"{name}.db", self.folder / "socket"]
        if name == "sender":
            arguments += [self.log, Path(mode)]
        command = [sys.executable, SUPPORT / f"durable_{name}.py", *arguments]
        self.processes[name] = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)

    def ready(self) -> None:
        """Wait until the receiver listens."""
        stdout = self.processes["receiver"].stdout
        assert stdout is not None
        assert stdout.readline() == "ready\n"

    def let_live(self, seconds: float) -> None:
        """Let both run for a while."""
        with pytest.raises(subprocess.TimeoutExpired):
            self.processes["sender"].wait(seconds)

    def kill(self, *names: str) -> None:
        """End processes by SIGKILL, all before any is waited for."""
        for name in names:
            self.processes[name].kill()
        for name in names:
            self._reap(name)

    def finish(self, name: str) -> int:
        """Wait for a process to leave by itself."""
        try:
            return self.processes[name].wait(WITHIN_S)
        finally:
            self._reap(name)

    def _reap(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def close(self) -> None:
        """End everything."""
        for name in tuple(self.processes):
            self._reap(name)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both sides, not started, over a folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="agt-"))
    (folder / "log").touch()
    made = Pair(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def check(pair: Pair) -> int:
    """Join log and table; return how many numbers were applied."""
    connection = sqlite3.connect(f"file:{pair.folder / 'receiver.db'}?mode=ro", uri=True)
    applied = [row[0] for row in connection.execute("SELECT number FROM applied ORDER BY place")]
    connection.close()
    assert applied == sorted(set(applied)), "applied twice, or out of order"
    there = set(applied)
    told: dict[str, set[int]] = {}
    sent: list[int] = []
    stored: set[int] = set()
    born = 0
    for line in pair.log.read_text().splitlines():
        word, _, rest = line.partition(" ")
        number = int(rest or 0)
        told.setdefault(word, set()).add(number)
        if word == "s":
            sent.append(number)
        elif word == "k":
            stored.update(sent[born:])
        elif word == "b":
            born = len(sent)
    promised = stored | told.get("r", set()) | told.get("delivered", set())
    assert promised <= there, f"lost: {sorted(promised - there)[:20]}"
    assert there <= set(sent), "applied what nobody sent"
    assert not told.get("not_delivered"), "nothing had a reason to fail"
    assert not told.get("indeterminate"), "nothing was in doubt"
    return len(applied)


def rounds(pair: Pair, count: int, rng: random.Random, span_s: float) -> int:
    """Kill and restart, let everything settle, and judge."""
    pair.start("receiver")
    pair.ready()
    pair.start("sender")
    for _ in range(count):
        pair.let_live(span_s * rng.random())
        victims = rng.choice((("sender",), ("receiver",), ("sender", "receiver")))
        pair.kill(*victims)
        for victim in victims:
            pair.start(victim)
        if "receiver" in victims and rng.random() < 0.5:
            pair.ready()
    pair.kill("sender")
    pair.start("sender", "drain")
    assert pair.finish("sender") == 0
    pair.kill("receiver")
    return check(pair)


def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(pair: Pair) -> None:
    """Five rounds of `kill -9`; then what was stored is applied, once each, in order."""
    assert rounds(pair, 5, random.Random(4), 0.6) > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_kills_lose_nothing_and_repeat_nothing(
    pair: Pair, seed: int, figure: Callable[[str, float], None]
) -> None:
    """The same, twenty rounds ten times."""
    applied = rounds(pair, 20, random.Random(seed), 1.2)
    assert applied > 0
    figure("rounds of kill -9", 20)
    figure("messages applied over them", applied)
