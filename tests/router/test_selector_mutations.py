"""Thousands of selector files that nobody meant: no crash, nothing half applied, and previews that are what happens.

Each mutated text goes the way that an edit by hand goes: into the file, read by the router, applied or refused. Half of
the mutations move words and numbers about, so that many results are selectors; the other half are typing accidents.
"""

import datetime
import random
import re
import string
from pathlib import Path

import pytest

from agt.router import (
    Message,
    Override,
    Route,
    Router,
    Runtimes,
    Selector,
    SelectorFile,
    SelectorState,
    format_selector,
)
from agt.router.testing import ManualClock, ScriptedDevice, ScriptedPath
from agt.transport import Barrier

NAMES = Runtimes(control="legacy", candidate="reliable")
NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.UTC)
DEVICES = [f"lamp-{number}" for number in range(30)]
BARRIERS = (Barrier.SEQUENCE, Barrier.ACK, Barrier.HALF_CLOSE, Barrier.NONE)
BEGIN = """\
# The kitchen is Ana's.
generation = 0
[runtimes]
control = "legacy"
candidate = "reliable"
[runtime]
reliable_enabled = true
reliable_canary_sessions = ["lamp-1", "lamp-2"]
percentage = 40.0
salt = ""
shadow = "off"
shadow_percent = 50.0
pin_live_sessions = false
kill_switch = false   # document 002
legacy_listener = "serve"
[flags]
EnableV3Transport = true
[components]
compression = true
[modes]
internet = true
[environment]
PANIC = "kill_switch"
[[overrides]]
device = "lamp-3"
runtime = "legacy"
owner = "ana"
expires = 2026-12-01T00:00:00Z
"""
WORDS = (
    *(
        "true",
        "false",
        '"legacy"',
        '"reliable"',
        '"lamp-7"',
        '"off"',
        '"candidate"',
        '"autumn"',
        "100.0",
        "33.33",
        "12",
    ),
    *("percentage", "up_to", "default_daemon", "reliable_enabled", "kill_switch", "ForceV1Mode", "V3RolloutPercentage"),
    *("[flags]", "[runtime]", "[components]", "[[overrides]]", "[]", "nan", "-1", "10.001", "#", "", "transport", "="),
)
TOKEN = re.compile(r'"[^"\n]*"|\[+[a-z]+\]+|[A-Za-z_0-9.:-]+')


def mutated(rng: random.Random, text: str) -> str:
    """Return a text after one to three accidents."""
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(ACCIDENTS)(rng, text)
    return text


def swap_word(rng: random.Random, text: str) -> str:
    """Put another word in the place of one."""
    found = list(TOKEN.finditer(text))
    if not found:
        return text
    one = rng.choice(found)
    return text[: one.start()] + rng.choice(WORDS) + text[one.end() :]


def set_number(rng: random.Random, text: str) -> str:
    """Set the percentage to another one."""
    return re.sub(r"percentage = [^\n]*", f"percentage = {rng.randint(0, 10_000) / 100}", text, count=1)


def flip(rng: random.Random, text: str) -> str:
    """Make a true false, or the other way round."""
    found = list(re.finditer(r"true|false", text))
    if not found:
        return text
    one = rng.choice(found)
    return text[: one.start()] + ("false" if one[0] == "true" else "true") + text[one.end() :]


def drop_line(rng: random.Random, text: str) -> str:
    """Lose a line."""
    lines = text.splitlines(keepends=True) or ["\n"]
    del lines[rng.randrange(len(lines)) : rng.randrange(len(lines)) + 1]
    return "".join(lines) or "\n"


def double_line(rng: random.Random, text: str) -> str:
    """Have a line twice, the second time anywhere."""
    lines = text.splitlines(keepends=True) or ["\n"]
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "".join(lines)


def mistype(rng: random.Random, text: str) -> str:
    """Drop, add or change a character."""
    place = rng.randrange(len(text)) if text else 0
    return text[:place] + rng.choice(("", rng.choice(string.printable))) + text[place + rng.randint(0, 1) :]


def cut(rng: random.Random, text: str) -> str:
    """Stop in the middle, as a writer does that isn't atomic."""
    return text[: rng.randrange(len(text) + 1)] + "\n"


ACCIDENTS = (swap_word, set_number, set_number, flip, flip, drop_line, double_line, mistype, cut)


class Fleet:
    """A router on a selector file, with devices of every barrier and a message in flight here and there."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng, self.clock = rng, ManualClock(NOON.timestamp())
        self.file = SelectorFile(folder / "selector.toml", runtimes=NAMES)
        self.file.path.write_text(BEGIN)
        self.router = Router(self.file, runtimes=NAMES, clock=self.clock, wall=self.clock, router="r")
        for number, name in enumerate(DEVICES):
            far, barrier = ScriptedDevice(), BARRIERS[number % len(BARRIERS)]
            paths = {
                runtime: ScriptedPath(self.clock, far, barrier=barrier, legacy=runtime == "legacy")
                for runtime in (NAMES.control, NAMES.candidate)
            }
            component = ("transport", "compression", None)[number % 3]
            self.router.attach(name, paths, component=component)

    def belongs(self) -> dict[str, str]:
        """Where each device belongs now."""
        return {line.device: line.target for line in self.router.devices()}

    def settle(self) -> None:
        """Let all moves end."""
        self.clock.advance(10.0)
        self.router.handle_timer()
        assert self.router.status().moves.moving == 0

    def try_text(self, text: str) -> bool:
        """Put a text in the file's place and hold what happens against what was said before; true when applied."""
        self.file.path.write_text(text, encoding="utf-8")
        before, status = self.belongs(), self.router.status()
        reading = self.file.read()
        foretold = None
        if reading.selector is not None and reading.selector.runtimes == NAMES:
            foretold = self.router.preview(reading.selector)
            assert self.belongs() == before, "a preview moved something"
        refusal = self.router.observe(reading)
        after = self.belongs()
        moved = sorted(name for name in DEVICES if after[name] != before[name])
        if reading.state is not SelectorState.OK or refusal:
            now = self.router.status()
            assert not moved, f"refused ({refusal}), and still {moved} moved"
            assert (now.generation, now.percentage) == (status.generation, status.percentage)
            assert now.problems, "refused, and nobody is told why"
            return False
        assert foretold is not None, "applied, though it could not be previewed"
        assert (foretold.moves, foretold.devices) == (len(moved), tuple(moved))
        assert foretold.to_candidate == sum(after[name] == NAMES.candidate for name in moved)
        assert sum(foretold.by_kind.values()) == foretold.moves
        return True


def live_through(folder: Path, *, files: int, seed: int) -> None:
    """Try so many mutated files, each from what was applied last."""
    rng = random.Random(seed)
    fleet = Fleet(folder, rng)
    good, applied = BEGIN, 0
    for _ in range(files):
        text = mutated(rng, good if rng.random() < 0.5 else BEGIN)
        if fleet.try_text(text):
            applied, good = applied + 1, text if len(text) < 4000 else BEGIN
            assert fleet.file.read().selector is not None
        fleet.settle()
    assert files / 10 < applied < files * 0.9, f"{applied} of {files} were selectors: too one-sided to show anything"


def test_mutated_files_are_applied_whole_or_not_at_all(tmp_path: Path) -> None:
    """Three hundred; ten thousand in the soak."""
    live_through(tmp_path, files=300, seed=4)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_mutated_files(tmp_path: Path, seed: int) -> None:
    """A thousand for each seed."""
    live_through(tmp_path, files=1000, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_in_doubt_is_never_more_than_the_preview_said(tmp_path: Path, seed: int) -> None:
    """Messages in flight everywhere, no answers: what ends in doubt is at most what was foretold."""
    rng = random.Random(seed)
    fleet = Fleet(tmp_path, rng)
    for number in range(1, 9):
        for name in rng.sample(DEVICES, 10):
            fleet.router.send(Message(device=name, number=number, payload=b"set 1"))
        share = rng.randint(0, 10_000) / 100
        selector = Selector(runtimes=NAMES, runtime=Route(enabled=True, percentage=share))
        foretold = fleet.router.preview(selector)
        batch = fleet.router.apply(selector)
        fleet.settle()
        receipt = batch.receipt()
        assert receipt.moved == foretold.moves
        assert receipt.indeterminate <= foretold.unconfirmed <= foretold.in_flight


def test_every_override_that_expires_is_previewed_as_it_will_be(tmp_path: Path) -> None:
    """An override of the past decides nothing, in the preview as in the outcome."""
    fleet = Fleet(tmp_path, random.Random(0))
    for hours, moves in ((-1, 0), (1, 1)):
        expires = NOON + datetime.timedelta(hours=hours)
        override = Override(device="lamp-2", runtime="legacy", owner="ana", reason="test", expires=expires)
        route = Route(enabled=True, percentage=100.0)
        fleet.router.apply(Selector(runtimes=NAMES, runtime=route))
        fleet.settle()
        assert fleet.router.preview(Selector(runtimes=NAMES, runtime=route, overrides=(override,))).moves == moves
        text = format_selector(Selector(runtimes=NAMES, runtime=route, overrides=(override,)))
        assert fleet.try_text(text)
        assert (fleet.belongs()["lamp-2"] == "legacy") == bool(moves)
