"""Snapshots compared file by file, as document 000's strict comparison does."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.parity import IgnoreRule, Tolerance, Verdict
from agt.router.regression import SnapshotResult, compare_snapshots, snapshot_lines

few = settings(max_examples=25)

NOW = 1_000_000.0
RULE = {"owner": "ann", "reason": "clock", "expires": "2099-01-01T00:00:00Z"}


class Trees:
    """Two folders of snapshots."""

    def __init__(self, folder: Path) -> None:
        self.base, self.target = folder / "v2", folder / "v3"
        self.base.mkdir()
        self.target.mkdir()

    def put(self, base: dict[str, Any], target: dict[str, Any]) -> None:
        """Write snapshots by relative path."""
        for folder, files in ((self.base, base), (self.target, target)):
            for name, value in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(value if isinstance(value, str) else json.dumps(value))

    def compare(self, **options: Any) -> SnapshotResult:
        """Compare the two trees."""
        return compare_snapshots(self.base, self.target, now=NOW, **options)


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Two empty folders."""
    return Trees(tmp_path)


def found(result: SnapshotResult) -> list[str]:
    """The differences as `kind file field`."""
    return [" ".join(filter(None, (one.kind, one.file, one.field))) for one in result.differences]


def test_equal_trees_pass(trees: Trees) -> None:
    """At any depth; other files don't count."""
    trees.put({"a/b.json": {"x": [1]}, "c.json": 1, "notes.txt": "a"}, {"a/b.json": {"x": [1.0]}, "c.json": 1})
    result = trees.compare(strict=True)
    assert (result.verdict, result.samples, result.equal) == (Verdict.PASSED, 2, 2)


def test_what_differs_is_named_by_file_and_field(trees: Trees) -> None:
    """A missing snapshot too."""
    trees.put({"a.json": {"x": {"y": 1}}, "b.json": 1, "c.json": 2}, {"a.json": {"x": {"y": 2}}, "c.json": 2})
    result = trees.compare()
    assert result.verdict is Verdict.FAILED
    assert found(result) == ["differs a.json x.y", "missing b.json"]
    assert "1 of 2 snapshots are equal" in result.reason


def test_strict_counts_what_is_new_and_the_last_digit(trees: Trees) -> None:
    """Not strict, the target may know more."""
    trees.put({"a.json": {"x": 0.3}}, {"a.json": {"x": 0.30000000000000004, "new": 1}, "b.json": 1})
    assert trees.compare().verdict is Verdict.PASSED
    assert found(trees.compare(strict=True)) == ["differs a.json x", "differs a.json new", "extra b.json"]
    assert found(trees.compare(strict=True, tolerance=Tolerance(relative=0.01))) == [
        "differs a.json new",
        "extra b.json",
    ]


def test_another_schema_is_said_first_and_alone(trees: Trees) -> None:
    """Everything else would differ and say nothing; a rule can let it pass, and then the rest is compared."""
    trees.put({"a.json": {"schema_version": 2, "x": 1}}, {"a.json": {"schema_version": 3, "x": 2}})
    result = trees.compare()
    assert found(result) == ["schema a.json schema_version"]
    assert "migrate them first" in result.reason
    rules = msgspec.convert([{"field": "schema_version", **RULE}], list[IgnoreRule])
    assert found(trees.compare(ignore=rules)) == ["differs a.json x"]


def test_rules_name_files_by_their_path(trees: Trees) -> None:
    """And fields within."""
    trees.put({"a.json": {"at": 1}, "b.json": {"at": 1}}, {"a.json": {"at": 2}, "b.json": {"at": 2}})
    rules = msgspec.convert([{"field": "at", "key": "a.*", **RULE}], list[IgnoreRule])
    result = trees.compare(ignore=rules)
    assert (found(result), result.ignored) == (["differs b.json at"], 1)


@pytest.mark.parametrize("broken", ["{", '{"a": 1, "a": 2}', "[" * 100_000])
def test_a_snapshot_that_cannot_be_read_is_an_error(trees: Trees, broken: str) -> None:
    """On either side, also when both are broken alike."""
    trees.put({"a.json": broken}, {"a.json": broken})
    result = trees.compare()
    assert (result.verdict, found(result)) == (Verdict.ERROR, ["unreadable a.json"])


def test_values_that_are_too_deep_are_an_error(trees: Trees) -> None:
    """They can't be shown to be equal."""
    deep = "[" * 70 + "]" * 70
    trees.put({"a.json": deep}, {"a.json": deep})
    assert trees.compare().verdict is Verdict.ERROR


def test_nothing_shows_nothing(trees: Trees) -> None:
    """Two empty folders are no evidence; a missing one, or a folder beside a file, is an error."""
    assert trees.compare().verdict is Verdict.INCONCLUSIVE
    trees.put({"a.json": 1}, {})
    assert compare_snapshots(trees.base / "a.json", trees.target, now=NOW).verdict is Verdict.ERROR
    assert compare_snapshots(trees.base, trees.target / "none", now=NOW).reason.endswith("none is not there")


def test_two_files_are_compared_whatever_they_are_called(trees: Trees) -> None:
    """Their own names need not agree."""
    trees.put({"one.json": {"x": 1}}, {"other.json": {"x": 2}})
    result = compare_snapshots(trees.base / "one.json", trees.target / "other.json", now=NOW)
    assert found(result) == ["differs other.json x"]


def test_many_differences_are_counted_and_few_are_kept(trees: Trees) -> None:
    """In the result and on the screen."""
    trees.put({"a.json": list(range(1000))}, {"a.json": list(range(1, 1001))})
    result = trees.compare()
    assert (len(result.differences), result.counts) == (200, {"differs": 1000})
    assert snapshot_lines(result)[-1] == "  ... and 970 more"


@few
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda one: st.lists(one, max_size=3)))
def test_a_snapshot_equals_itself(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Strict too, whatever it holds."""
    path = tmp_path_factory.getbasetemp() / "snapshot.json"
    path.write_text(json.dumps({"value": value}))
    assert compare_snapshots(path, path, strict=True, now=NOW).verdict is Verdict.PASSED
