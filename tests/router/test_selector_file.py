"""The selector's file: whole or not at all, one writer wins, and a kill that nothing can overtake."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agt.router import (
    GenerationConflict,
    Route,
    Runtimes,
    Selector,
    SelectorFile,
    SelectorInvalid,
    SelectorKilled,
    SelectorState,
    SelectorUnwritable,
)

SELECTOR = Selector(
    runtimes=Runtimes(control="legacy", candidate="reliable"), runtime=Route(enabled=True, percentage=10.0)
)


@pytest.fixture
def file(tmp_path: Path) -> SelectorFile:
    """A selector file at generation 1."""
    file = SelectorFile(tmp_path / "selector.toml")
    file.write(SELECTOR, expected=0)
    return file


def test_write_raises_the_generation_and_reads_back(file: SelectorFile) -> None:
    """Each write is one generation further."""
    written = file.write(SELECTOR.with_route(percentage=25.0), expected=1)
    assert written.generation == 2
    assert file.read().selector == written
    names = sorted(path.name for path in file.path.parent.iterdir())
    assert names == [".selector.toml.lock", "selector.toml"]


def test_second_writer_is_told_and_changes_nothing(file: SelectorFile) -> None:
    """Compare-and-swap: who read an older generation has to read again."""
    file.write(SELECTOR.with_route(percentage=25.0), expected=1)
    with pytest.raises(GenerationConflict, match="is at generation 2, not 1") as raised:
        file.write(SELECTOR.with_route(percentage=50.0), expected=1)
    assert (raised.value.expected, raised.value.found) == (1, 2)
    reading = file.read()
    assert reading.selector is not None
    assert reading.selector.percentage == 25.0


def test_contradiction_is_refused_before_anything_is_written(file: SelectorFile) -> None:
    """A selector made in code is checked like one that was read."""
    with pytest.raises(SelectorInvalid):
        file.write(SELECTOR.with_route(default="reliable"), expected=1)
    reading = file.read()
    assert reading.selector is not None
    assert reading.selector.generation == 1


def test_states_are_told_apart(file: SelectorFile) -> None:
    """Ok, bad, killed and missing, each with a sentence."""
    assert file.read().state is SelectorState.OK
    file.path.write_text("generation = [")
    bad = file.read()
    assert (bad.state, bad.selector) == (SelectorState.BAD, None)
    assert "is not TOML" in bad.says
    file.kill()
    assert file.read().state is SelectorState.KILLED
    file.killed_path.unlink()
    assert file.read().state is SelectorState.MISSING


def test_unreadable_selector_is_bad(file: SelectorFile) -> None:
    """A folder in its place is neither missing nor a crash."""
    file.path.unlink()
    file.path.mkdir()
    assert file.read().state is SelectorState.BAD


def test_kill_renames_aside_and_refuses_writers(file: SelectorFile) -> None:
    """The absent file is the latch; an ordinary write does not end it."""
    assert file.kill()
    assert file.killed_path.exists()
    assert not file.path.exists()
    with pytest.raises(SelectorKilled, match="agt kill-switch off"):
        file.write(SELECTOR, expected=1)
    assert file.read().state is SelectorState.KILLED


def test_operator_ends_the_kill_and_the_generation_goes_on(file: SelectorFile) -> None:
    """`kill-switch off` puts a selector back, one generation after the one that was killed."""
    file.kill()
    killed = file.killed_selector()
    assert killed is not None
    back = file.write(killed.with_route(percentage=0.0), expected=killed.generation, after_kill=True)
    assert back.generation == 2
    assert file.read().state is SelectorState.OK
    assert not file.killed_path.exists()


def test_kill_without_a_selector_latches_all_the_same(tmp_path: Path) -> None:
    """Killing twice, or with no file at all, leaves the latch standing: no later selector slips past it."""
    file = SelectorFile(tmp_path / "selector.toml")
    assert file.kill()
    assert file.kill()
    assert file.read().state is SelectorState.KILLED


def test_kill_says_when_it_could_not_rename(tmp_path: Path) -> None:
    """A folder in the way of the killed file: false, and no exception."""
    file = SelectorFile(tmp_path / "selector.toml")
    file.write(SELECTOR, expected=0)
    (file.killed_path / "occupied").mkdir(parents=True)
    assert not file.kill()


def test_kill_wins_over_a_write_that_is_under_way(file: SelectorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between a writer's look and its rename is noticed, and the writer's file goes too."""
    replace = file._replace

    def killed_just_before(*arguments: object) -> None:
        file.kill()
        replace(*arguments)

    monkeypatch.setattr(file, "_replace", killed_just_before)
    with pytest.raises(SelectorKilled):
        file.write(SELECTOR.with_route(percentage=50.0), expected=1)
    assert file.read().state is SelectorState.KILLED


def test_reader_never_sees_half_a_file(file: SelectorFile) -> None:
    """Another process writes as fast as it can; every look finds a whole selector."""
    script = (
        "import sys; from agt.router import SelectorFile\n"
        "file = SelectorFile(sys.argv[1])\n"
        "for generation in range(1, 60):\n"
        "    file.write(file.read().selector.with_route(percentage=float(generation % 100)), expected=generation)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(file.path)]) as writer:
        seen = set()
        while writer.poll() is None:
            reading = file.read()
            assert reading.state is SelectorState.OK, reading.says
            assert reading.selector is not None
            seen.add(reading.selector.generation)
        assert writer.returncode == 0
    assert len(seen) > 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny tmpfs needs root")
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk refuses."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 1024)


def test_full_disk_refuses_the_write_and_lets_the_kill_through(small_disk: Path) -> None:
    """Nothing half written stays behind, the old selector stands, and the kill needs no space."""
    file = SelectorFile(small_disk / "selector.toml")
    file.write(SELECTOR, expected=0)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    with pytest.raises(SelectorUnwritable, match="No space left on device; nothing was changed"):
        file.write(SELECTOR.with_route(percentage=50.0), expected=1)
    reading = file.read()
    assert reading.selector is not None
    assert reading.selector.generation == 1
    assert file.kill()
    assert file.read().state is SelectorState.KILLED
    assert not list(small_disk.glob("*.tmp"))
