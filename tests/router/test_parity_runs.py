"""Whole parity runs: live listings that lag, sides that fail, files of projections, lines for people."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agt.router.parity import (
    FileSource,
    FunctionSource,
    ParityInvalid,
    ParityResult,
    Projection,
    SourceSpec,
    Verdict,
    check_parity,
    load_parity,
    parity_lines,
    parse_parity,
    unix_source,
    worst_of,
)
from agt.router.parity._settling import PATIENCE

PANES = Projection(name="panes", key=("id",), fields=("evidence_mode",), takes=3, every_s=0.001)
ROWS = [{"id": "a", "evidence_mode": "hook"}, {"id": "b", "evidence_mode": "poll"}]
NOW = 1_000_000.0


def script(*takes: Any) -> Callable[[], Any]:
    """A function that answers with one of these after the other, and stays with the last."""
    left = list(takes)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


async def run(control: Any, candidate: Any, projection: Projection = PANES, **others: Any) -> ParityResult:
    """Compare what two scripts answer."""
    sides = (FunctionSource(side if callable(side) else script(side)) for side in (control, candidate))
    return await check_parity(projection, *sides, wall=lambda: NOW, **others)


async def test_equal_listings_pass_at_once() -> None:
    """In another order too."""
    result = await run(ROWS, ROWS[::-1])
    assert (result.verdict, result.samples, result.takes) == (Verdict.PASSED, 2, 1)
    assert result.reason == "2 rows equal in evidence_mode"


async def test_a_candidate_that_lags_one_take_is_equal() -> None:
    """The difference was only time, and is said to have been there."""
    shown: list[str] = []
    result = await run(ROWS, script(ROWS[:1], ROWS), on_take=lambda one: shown.append(one.verdict))
    assert (result.verdict, result.takes, result.transient) == (Verdict.PASSED, 2, 1)
    assert shown == ["pending"]


async def test_a_difference_that_lasts_fails_with_its_place() -> None:
    """Key, field and both values."""
    result = await run(ROWS, [ROWS[0], {"id": "b", "evidence_mode": "hook"}])
    assert (result.verdict, result.takes) == (Verdict.FAILED, 3)
    assert [(one.difference.key, one.difference.field, one.takes) for one in result.differences] == [
        ("b", "evidence_mode", 3)
    ]
    assert "1 difference (1 differing), of which 1 stood for 3 takes in a row" in result.reason
    assert msgspec.json.decode(msgspec.json.encode(result))["verdict"] == "failed"


async def test_a_listing_that_never_keeps_still_is_inconclusive() -> None:
    """After a bounded number of takes."""
    other = script(*([{"id": str(number)}] for number in range(50)))
    result = await run(ROWS, lambda: [*ROWS, *other()])
    assert (result.verdict, result.takes) == (Verdict.INCONCLUSIVE, PATIENCE * 3)


async def test_nothing_on_both_sides_shows_nothing() -> None:
    """Unless that is allowed; nothing on one side is a difference."""
    assert (await run([], [])).verdict is Verdict.INCONCLUSIVE
    assert (await run([], [], msgspec.structs.replace(PANES, allow_empty=True))).verdict is Verdict.PASSED
    assert (await run(ROWS, [])).verdict is Verdict.FAILED


async def test_a_side_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Never equal, also when neither is there; the side is named."""
    absent = unix_source(str(tmp_path / "v5.sock"), send="list_panes")
    result = await check_parity(PANES, FunctionSource(lambda: ROWS), absent)
    assert result.verdict is Verdict.ERROR
    assert "v5.sock can't be reached: no such file or directory" in result.reason
    assert (await check_parity(PANES, absent, absent)).verdict is Verdict.ERROR


async def test_an_answer_that_is_no_listing_is_an_error(tmp_path: Path) -> None:
    """So is a row without a key, and a value that is too deep."""
    path = tmp_path / "panes.json"
    path.write_text('{"panes": [], "version": 1}')
    result = await check_parity(PANES, FileSource(path), FunctionSource(lambda: ROWS))
    assert result.verdict is Verdict.ERROR
    assert f"the answer of file {path} is an object and no list" in result.reason
    assert "no key field id" in (await run(ROWS, [{"name": "a"}])).reason
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    rows = [{"id": "a", "evidence_mode": deep}]
    assert "deeper than 64 levels" in (await run(rows, rows)).reason


async def test_versions_and_ages_are_shown_and_old_listings_refused() -> None:
    """A listing that has stopped being made says nothing about now."""
    projection = msgspec.structs.replace(PANES, rows="panes", as_of="at", max_age_s=60.0)
    fresh, old = ({"panes": ROWS, "version": 7, "at": NOW - age} for age in (5, 95))
    result = await run(fresh, fresh, projection)
    assert (result.verdict, result.control.version, result.candidate.age_s) == (Verdict.PASSED, "7", 5.0)
    assert "version 7, 5.0 s old" in "\n".join(parity_lines(result))
    stale = await run(fresh, old, projection)
    assert stale.verdict is Verdict.ERROR
    assert "95.0 s old; at most 60 s" in stale.reason


FILE = """
schema = 1

[[projection]]
name = "panes"
control = "file:v4.json"
candidate = { command = ["cat", "v5.json"], timeout_s = 5 }
key = ["id"]
fields = ["evidence_mode", "pane_presence"]
tolerance = { cpu = { absolute = 1 } }

[[projection.ignore]]
field = "title"
owner = "ann"
reason = "v5 has no titles yet"
expires = 2026-12-31T00:00:00Z
"""


def test_a_file_names_several_projections(tmp_path: Path) -> None:
    """Sources as a text or a table."""
    path = tmp_path / "parity.toml"
    path.write_text(FILE + FILE.replace('"panes"', '"sessions"').replace("schema = 1", ""))
    panes, sessions = load_parity(path)
    assert (panes.projection.name, sessions.projection.name) == ("panes", "sessions")
    assert panes.control == SourceSpec(file="v4.json")
    assert panes.candidate == SourceSpec(command=("cat", "v5.json"), timeout_s=5)
    assert panes.projection.ignore[0].owner == "ann"


def test_everything_that_is_wrong_in_a_file_is_said_at_once(tmp_path: Path) -> None:
    """With its place, and the nearest right name."""
    text = FILE.replace("schema = 1", "schema = 2\nprojektion = 1").replace('"file:v4.json"', '"fil:v4.json"')
    text = text.replace("timeout_s = 5", "timeout_s = 0").replace("2026-12-31T00:00:00Z", "2026-12-31T00:00:00")
    text += '[[projection]]\nname = "panes"\nkey = ["id"]\n'
    with pytest.raises(ParityInvalid) as caught:
        parse_parity(text.encode())
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [
        *("projektion", "schema", "projection[0].control", "projection[0].candidate.timeout_s"),
        *("projection[0].ignore[0].expires", "projection[1].control", "projection[1].candidate"),
    ]
    assert "did you mean projection?" in str(caught.value)
    with pytest.raises(ParityInvalid, match="can't be read: no such file"):
        load_parity(tmp_path / "none.toml")


async def test_the_table_is_cut_to_what_a_terminal_shows() -> None:
    """Long values, many differences, rules that have ended."""
    rows = [{"id": f"row-{number}", "evidence_mode": "x" * 500} for number in range(30)]
    projection = msgspec.convert(
        {
            "name": "panes",
            "key": ["id"],
            "every_s": 0.001,
            "ignore": [{"field": "*", "owner": "ann", "reason": "old", "expires": "1970-01-01T00:00:00Z"}],
        },
        Projection,
    )
    result = await run(rows, [{**row, "evidence_mode": "y" * 500} for row in rows], projection)
    lines = parity_lines(result)
    assert lines[0].startswith("panes: failed: 30 differences (30 differing)")
    assert "of ann ended on 1970-01-01" in "\n".join(lines)
    assert lines[-1] == "  ... and 10 more"
    assert max(map(len, lines)) < 200


def test_the_worst_verdict_of_several_counts() -> None:
    """None at all shows nothing."""
    assert worst_of([Verdict.PASSED, Verdict.ERROR, Verdict.PENDING]) is Verdict.ERROR
    assert worst_of([]) is Verdict.INCONCLUSIVE
