"""A selector that somebody wrote by hand: comments stay, edits are noticed, and of several writers one wins."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router import (
    CommentsWouldGo,
    GenerationConflict,
    Override,
    Route,
    Runtimes,
    Selector,
    SelectorFile,
    SelectorInvalid,
    SelectorState,
    format_selector,
    parse_selector,
)
from agt.router._selector_comments import KEEP_MAX_BYTES, amended, comments

NAMES = Runtimes(control="v1", candidate="v3")
BY_HAND = """\
# Ask ana (4711) before you touch this.
generation = 5

[runtimes]
control = "v1"     # since 2019
candidate = "v3"

[flags]            # document 002
V3RolloutPercentage = 10   # raised on friday
EnableV3Transport = true

[runtime]
salt = "a#b"       # never change it: everybody would move

[[overrides]]      # the kitchen
device = "lamp-7"  # flickers
runtime = "v1"
owner = "ana"

# the end
"""


@pytest.fixture
def file(tmp_path: Path) -> SelectorFile:
    """The hand-written file in its place."""
    file = SelectorFile(tmp_path / "selector.toml")
    file.path.write_text(BY_HAND)
    return file


def read(file: SelectorFile) -> Selector:
    """The selector in a file that has to be good."""
    reading = file.read()
    assert reading.selector is not None, reading.says
    return reading.selector


def test_comments_are_counted_and_strings_are_not() -> None:
    """A `#` in any kind of string is none."""
    assert comments(BY_HAND) == 8
    assert comments('a = "#"\nb = \'#\'\nc = """\n#\n"""\nd = "\\"#"\n') == 0
    assert comments("a = 1#\n# b\n") == 2


def test_write_touches_only_what_changes(file: SelectorFile) -> None:
    """Two numbers differ; every other byte is as its author left it."""
    file.write(read(file).with_route(percentage=25.0), expected=5)
    now = file.path.read_text()
    assert now == BY_HAND.replace("generation = 5", "generation = 6").replace("= 10   #", "= 25.0   #")
    assert read(file).percentage == 25.0


def test_tables_and_overrides_come_and_go_around_comments(file: SelectorFile) -> None:
    """What is new is added, what is gone is taken away, the rest stays with its comments."""
    before = read(file)
    other = Override(device="lamp-8", runtime="v3", owner="bo", reason="tests")
    grown = msgspec.structs.replace(before, components={"transport": False, "codec": True}, overrides=(other,))
    file.write(grown.with_route(percentage=None, kill_switch=True), expected=5)
    now = read(file)
    assert (now.components, now.overrides) == (grown.components, (other,))
    assert (now.runtime.percentage, now.runtime.enabled, now.runtime.kill_switch) == (None, True, True)
    assert {"# Ask ana (4711) before you touch this.", "# since 2019", "# document 002"} <= kept(file.path.read_text())


def kept(text: str) -> set[str]:
    """The comments of a text."""
    return set(re.findall(r"#[^\n]*", text))


def test_kill_that_ends_brings_the_comments_back(file: SelectorFile) -> None:
    """`kill-switch off` writes anew from what was renamed aside."""
    before = read(file)
    file.kill()
    file.write(before.with_route(percentage=0.0), expected=5, after_kill=True)
    assert comments(file.path.read_text()) == 8


def test_going_forward_never_drops_comments(file: SelectorFile) -> None:
    """A layout that can't be edited, a file that is too long: refused with a way out, and nothing is changed."""
    inline = '# mine\nruntimes = {control = "v1", candidate = "v3"}\nruntime.percentage = 5 # here\n'
    for text in (inline, BY_HAND + "#" * KEEP_MAX_BYTES):
        file.path.write_text(text)
        renamed = msgspec.structs.replace(read(file), components={"a.b": True})
        if text is inline:
            renamed = msgspec.structs.replace(renamed, runtimes=Runtimes(control="v1", candidate="v4"))
        with pytest.raises(CommentsWouldGo, match="that a write would drop"):
            file.write(renamed, expected=renamed.generation)
        assert file.path.read_text() == text


def test_going_back_goes_on_and_keeps_the_old_text_beside(file: SelectorFile) -> None:
    """With `force` nothing stands in the way, and what was there can be looked up."""
    file.path.write_text(BY_HAND + "#" * KEEP_MAX_BYTES)
    file.write(read(file).with_route(percentage=0.0), expected=5, force=True)
    assert read(file).percentage == 0.0
    assert file.path.with_name("selector.toml.before").read_text().startswith(BY_HAND)


def test_text_that_is_being_mended_is_not_written_over(file: SelectorFile) -> None:
    """Half an edit by hand stops who goes forward; who goes back puts it aside."""
    file.path.write_text("[runtimes\n")
    with pytest.raises(SelectorInvalid, match="is not TOML"):
        file.write(Selector(runtimes=NAMES), expected=0)
    assert file.path.read_text() == "[runtimes\n"
    file.write(Selector(runtimes=NAMES), expected=0, force=True)
    assert file.read().state is SelectorState.OK
    assert file.path.with_name("selector.toml.before").read_text() == "[runtimes\n"


def test_edit_by_hand_under_the_same_number_is_noticed(file: SelectorFile) -> None:
    """An editor knows no generations; who read before it saved is told."""
    before = read(file)
    file.path.write_text(BY_HAND.replace("= 10 ", "= 3 "))
    with pytest.raises(GenerationConflict, match="generation 5, but was edited by hand"):
        file.write(before.with_route(percentage=25.0), expected=5, read=before)
    assert read(file).percentage == 3.0


def test_edit_by_hand_during_a_write_wins(file: SelectorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved between the writer's look and its rename."""
    unchanged = file._unchanged

    def saved_just_before(before: bytes, expected: int) -> None:
        file.path.write_text(BY_HAND.replace("= 10 ", "= 3 "))
        unchanged(before, expected)

    monkeypatch.setattr(file, "_unchanged", saved_just_before)
    with pytest.raises(GenerationConflict, match="edited by hand"):
        file.write(read(file).with_route(percentage=25.0), expected=5)
    assert read(file).percentage == 3.0
    assert not list(file.path.parent.glob("*.tmp"))


def test_of_several_processes_one_wins_each_generation(file: SelectorFile) -> None:
    """Three writers that each raise a number of their own: no update is lost, and every loser was told."""
    script = (
        "import sys, msgspec; from agt.router import SelectorFile, GenerationConflict\n"
        "file, name, told = SelectorFile(sys.argv[1]), sys.argv[2], 0\n"
        "sys.stdin.readline()\n"
        "for number in range(8):\n"
        "    while True:\n"
        "        seen = file.read().selector\n"
        "        changed = msgspec.structs.replace(seen, components={**seen.components, f'{name}-{number}': True})\n"
        "        try:\n"
        "            file.write(changed, expected=seen.generation, read=seen)\n"
        "            break\n"
        "        except GenerationConflict:\n"
        "            told += 1\n"
        "print(told)\n"
    )
    command = [sys.executable, "-c", script, str(file.path)]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True) for name in "abc"]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert all(writer.communicate()[0].strip().isdigit() for writer in writers)
    now = read(file)
    assert now.generation == 5 + 24
    assert len(now.components) == 1 + 24
    assert comments(file.path.read_text()) == 8


numbers = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)
selectors = st.builds(
    Selector,
    runtimes=st.just(NAMES),
    generation=st.integers(0, 9),
    runtime=st.builds(
        Route,
        enabled=st.booleans(),
        cohort=st.lists(st.text(max_size=5), max_size=2).map(tuple),
        percentage=st.none() | numbers,
        up_to=st.text(max_size=5),
        salt=st.text(max_size=5),
        kill_switch=st.booleans(),
    ),
    components=st.dictionaries(st.text(max_size=5), st.booleans(), max_size=3),
    overrides=st.lists(
        st.builds(
            Override,
            device=st.sampled_from("abc"),
            runtime=st.sampled_from(["v1", "v3"]),
            owner=st.just("ana"),
            reason=st.sampled_from(["", "why"]),
        ),
        max_size=2,
        unique_by=lambda one: one.device,
    ).map(lambda found: tuple(sorted(found, key=lambda one: one.device))),
)


@settings(max_examples=60, deadline=None)
@given(selectors, selectors)
def test_any_selector_can_become_any_other_in_place(before: Selector, after: Selector) -> None:
    """The result means the new one, and says in the head of the file what its author said there."""
    result = amended(f"# head\n{format_selector(before)}# tail\n", after)
    again = parse_selector(result)
    assert msgspec.structs.replace(again, overrides=tuple(sorted(again.overrides, key=lambda one: one.device))) == after
    assert result.startswith("# head\n")
