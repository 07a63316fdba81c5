"""The pure half of the screen: numbers, text, bars and charts, without a terminal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agt.tui import _format
from agt.tui._chart import draw, scale_top
from agt.tui._glyphs import ASCII, UNICODE, terminal_glyphs
from agt.tui._requests import NothingToDo, make_request
from agt.tui._text import bar, clip, wrap
from agt.tui.widgets._ladder import window_start


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0s"),
        (0.2, "1s"),
        (59, "59s"),
        (60, "1m 00s"),
        (125, "2m 05s"),
        (12_000, "3h 20m"),
        (183_600, "2d 03h"),
        (-5, "0s"),
    ],
)
def test_durations_have_two_units(seconds: float, says: str) -> None:
    """Short, aligned, and never 0 while something is left."""
    assert _format.duration(seconds) == says


@pytest.mark.parametrize(
    ("value", "says"), [(1.0, "100.0 %"), (0.99996, "99.9 %"), (0.999, "99.9 %"), (0.0, "0.0 %"), (None, "-")]
)
def test_success_is_never_rounded_up(value: float | None, says: str) -> None:
    """100.0 % means all of them."""
    assert _format.ratio(value, "-") == says


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.0004, "0.4 ms"), (0.0912, "91 ms"), (0.9996, "1.00 s"), (1.254, "1.25 s"), (12.4, "12.4 s")],
)
def test_latency_keeps_three_digits(seconds: float, says: str) -> None:
    """Milliseconds below one second, then seconds."""
    assert _format.latency(seconds, "-") == says


@given(text=st.text(), width=st.integers(0, 40))
def test_clipped_text_fits(text: str, width: int) -> None:
    """Whatever the characters, never wider than asked; unchanged when it fits."""
    clipped = clip(text, width, UNICODE)
    assert cell_len(clipped) <= width
    if cell_len(text) <= width:
        assert clipped == text


@given(
    text=st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
    width=st.integers(4, 40),
    lines=st.integers(1, 5),
)
def test_wrapped_text_fits_and_loses_nothing_but_its_end(text: str, width: int, lines: int) -> None:
    """Each line fits; all lines but a cut last one are a prefix of the words."""
    wrapped = wrap(text, width, lines, UNICODE)
    assert len(wrapped) <= lines
    assert all(cell_len(line) <= width for line in wrapped)
    if wrapped and UNICODE.ellipsis not in wrapped[-1]:
        assert "".join("".join(wrapped).split()) == "".join(text.split())


@given(share=st.floats(0, 1), width=st.integers(2, 60))
def test_a_bar_is_full_only_when_all_is_there(share: float, width: int) -> None:
    """Its width is fixed; any share shows a cell; less than all leaves one free."""
    full, empty = bar(share, width, UNICODE)
    assert len(full + empty) == width
    assert bool(full) == (share > 0)
    assert bool(empty) == (share < 1)


@given(
    points=st.lists(st.none() | st.floats(0, 1e6), max_size=50), width=st.integers(1, 30), height=st.integers(1, 6),
    glyphs=st.sampled_from([UNICODE, ASCII]),
)  # fmt: skip
def test_a_chart_has_its_size_and_keeps_gaps(points, width: int, height: int, glyphs) -> None:
    """Newest at the right; a gap is empty in every row, a point has at least its lowest cell."""
    rows = draw(points, width, height, scale_top(points), glyphs)
    assert [len(row) for row in rows] == [width] * height
    shown = points[-width:]
    for index, point in enumerate(shown, start=width - len(shown)):
        column = "".join(row[index] for row in rows)
        assert (column.strip() == "") == (point is None)
    assert all(row[: width - len(shown)].strip() == "" for row in rows)


def test_two_charts_share_one_scale() -> None:
    """Half as much is half as high, and a higher point is never drawn lower."""
    top = scale_top([1.0, None], [2.0])
    assert top == 2.0
    assert draw([1.0, 2.0, 0.0], 3, 1, top, UNICODE) == ["▄█▁"]
    assert draw([1.0, 2.0], 2, 2, top, UNICODE) == [" █", "██"]
    assert scale_top([None], []) == 0.0


@given(count=st.integers(1, 40), active=st.integers(0, 39), height=st.integers(1, 20))
def test_the_active_rung_is_always_in_sight(count: int, active: int, height: int) -> None:
    """However long the ladder and small the panel."""
    active = min(active, count - 1)
    start = window_start(count, active, height)
    assert 0 <= start <= active < start + height
    assert start <= max(0, count - height)


def test_every_glyph_is_one_cell_and_ascii_is_ascii() -> None:
    """Both sets draw the same shapes at the same width."""
    for glyphs in (UNICODE, ASCII):
        for name, value in vars(glyphs).items():
            if isinstance(value, str):
                assert cell_len(value) == (8 if name == "ramp" else 1), name
    assert all(value.isascii() for value in vars(ASCII).values() if isinstance(value, str))


def test_the_locale_chooses_the_glyphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """UTF-8 gets lines, everything else ASCII, and the option always ASCII."""
    monkeypatch.setattr("locale.nl_langinfo", lambda _item: "UTF-8")
    assert terminal_glyphs() is UNICODE
    assert terminal_glyphs(ascii_only=True) is ASCII
    monkeypatch.setattr("locale.nl_langinfo", lambda _item: "ANSI_X3.4-1968")
    assert terminal_glyphs() is ASCII


def test_wishes_that_mean_nothing_now_say_why(stage) -> None:
    """The last phase can't be advanced, a full percentage can't be raised."""
    import msgspec  # noqa: PLC0415 - beside its only use.

    last = msgspec.structs.replace(stage.script.current, phase="removal", percentage=100.0)
    with pytest.raises(NothingToDo, match="removal is the last phase"):
        make_request("advance", last)
    with pytest.raises(NothingToDo, match="100 already"):
        make_request("raise", last)
    assert make_request("lower", last).action.percentage == 95.0


@given(percentage=st.floats(0, 100), wish=st.sampled_from(["raise", "lower"]))
def test_the_percentage_stays_a_percentage(percentage: float, wish) -> None:
    """Steps of five, ending at the edges; up goes forward, down goes back."""
    from agt.supervisor.view import View  # noqa: PLC0415 - beside its only use.

    view = View(version=1, at=0.0, plan="p", status="running", percentage=percentage)
    try:
        request = make_request(wish, view)
    except NothingToDo:
        assert percentage in {0.0, 100.0}
        return
    assert request.action.percentage is not None
    assert 0 <= request.action.percentage <= 100
    assert math.isclose(abs(request.action.percentage - percentage), 5) or request.action.percentage in {0.0, 100.0}
    assert (request.versioned, request.urgent) == ((True, False) if wish == "raise" else (False, True))
