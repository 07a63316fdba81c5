"""A component's log: bounded without a gap, and read from where a process began."""

import os
from pathlib import Path

import pytest

from agt.supervisor.components import _output
from agt.supervisor.components._output import LINE_MAX, LineWatch, Output

LIMIT = 8192


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """An empty log."""
    log = tmp_path / "gateway.log"
    log.touch()
    return Output(log)


def write(output: Output, text: str) -> None:
    """Append as the component does."""
    with output.log.open("a", encoding="utf-8") as log:
        log.write(text)


def numbered(first: int, count: int) -> str:
    """Lines that show when one is missing."""
    return "".join(f"line {number:06}\n" for number in range(first, first + count))


def test_a_log_below_its_limit_is_left_alone(output: Output) -> None:
    """Nothing to do."""
    write(output, numbered(0, 10))
    assert output.bound(LIMIT) is None
    assert not output.older.exists()


def test_a_full_log_moves_without_a_gap(output: Output) -> None:
    """Older and present file together are every byte that was written, in order."""
    text = numbered(0, 900)
    write(output, text)
    moved = output.bound(LIMIT)
    assert moved is not None
    assert output.log.stat().st_size <= LIMIT
    together = output.older.read_text() + output.log.read_text()
    assert text.endswith(together)
    assert len(text) - len(together) == moved.dropped
    assert moved.kept == output.older.stat().st_size <= LIMIT


def test_what_is_gone_is_counted(output: Output) -> None:
    """At the second move the older file makes place; kept, left and dropped are all that was ever written."""
    dropped = 0
    for turn in range(5):
        write(output, numbered(turn * 900, 900))
        moved = output.bound(LIMIT)
        assert moved is not None
        dropped += moved.dropped
    left = output.older.stat().st_size + output.log.stat().st_size
    assert dropped + left == 5 * len(numbered(0, 900))


def test_a_line_that_is_written_while_the_log_moves_is_kept(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between copy and cut, where emptying the file would lose it."""
    cut = _output.cut_beginning

    def write_then_cut(descriptor: int, size: int) -> int | None:
        write(output, "just now\n")
        return cut(descriptor, size)

    monkeypatch.setattr(_output, "cut_beginning", write_then_cut)
    write(output, numbered(0, 900))
    moved = output.bound(LIMIT)
    assert moved is not None
    if not moved.sure:
        pytest.skip("this filesystem can't cut a file")
    assert output.log.read_text().endswith("just now\n")


def test_a_filesystem_that_cannot_cut_says_so(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the file is emptied after the copy, and the move isn't sure."""
    monkeypatch.setattr(_output, "cut_beginning", lambda _descriptor, _size: None)
    text = numbered(0, 900)
    write(output, text)
    moved = output.bound(LIMIT)
    assert moved is not None
    assert not moved.sure
    assert output.log.stat().st_size == 0
    assert text.endswith(output.older.read_text())


def test_a_line_counts_only_from_where_the_process_began(output: Output) -> None:
    """What an earlier process wrote is no sign of this one."""
    write(output, "serving on 1\n")
    lines = LineWatch(output, output.end, r"^serving on \d+$")
    assert not lines.seen()
    write(output, "serving on ")
    assert not lines.seen()
    write(output, "2\n")
    assert lines.seen()


def test_a_line_is_found_although_the_log_has_been_cut_meanwhile(output: Output) -> None:
    """Positions stay true over a cut."""
    write(output, numbered(0, 900))
    lines = LineWatch(output, output.end, "ready")
    assert not lines.seen()
    assert output.bound(LIMIT) is not None
    write(output, "ready\n")
    assert lines.seen()


def test_a_line_without_an_end_takes_no_memory(output: Output) -> None:
    """What is longer than a line may be is matched in pieces and forgotten."""
    lines = LineWatch(output, 0, "never")
    for _ in range(4):
        write(output, "x" * (LINE_MAX * 20))
        assert not lines.seen()
        assert len(lines._part) <= LINE_MAX


def test_the_last_lines_reach_back_into_the_older_file(output: Output) -> None:
    """An operator sees lines, wherever the cut was; each fits a screen."""
    write(output, numbered(0, 900) + "y" * 999 + "\n")
    output.bound(LIMIT)
    shown = output.last_lines(3)
    assert shown == ("line 000898", "line 000899", "y" * 200)
    os.truncate(output.log, 0)
    assert len(output.last_lines(3)) == 3
