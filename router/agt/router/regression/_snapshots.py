"""Two trees or files of JSON snapshots compared: document 000's `tools/snapshot_compare.py --base --target --strict`.

Not strict, the target may know more than the base (new files, new fields) and numbers may differ in their last
digits; strict, it may not. Reads files, changes nothing; the number and size of files have limits.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from agt.router._ignore import IgnoreRule, expired_rules
from agt.router.parity._compare import Ignoring
from agt.router.parity._json import DOCUMENT_MAX_BYTES, parse_json
from agt.router.parity._local import read_bounded
from agt.router.parity._numbers import EXACT, Tolerance
from agt.router.parity._table import table_lines
from agt.router.parity._values import ABSENT, TooDeep, differences, shown
from agt.router.parity._verdict import Verdict

FILES_MAX: Final = 10_000
"""Snapshots of one tree."""
REPORTED_MAX: Final = 200
"""Differences that a result holds; all are counted."""
PRINTED_MAX: Final = 30
LAST_DIGITS: Final = Tolerance(relative=1e-9)
"""How far numbers may be apart where the comparison isn't strict."""
SCHEMA_NAMES: Final = ("schema_version", "schema", "$schema")
"""Fields at the top of a snapshot that tell its form."""

Kind = Literal["missing", "extra", "differs", "schema", "unreadable"]


class SnapshotDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which the target isn't the base."""

    kind: Kind
    """`missing` in the target, `extra` there, `differs` in a field, `schema` (another form: migrate first),
    `unreadable`."""
    file: str
    """Path within the trees; the target's name where two files are compared."""
    field: str = ""
    base: str = ""
    target: str = ""


class SnapshotResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a comparison. Gates read `verdict`, `samples` and `reason`."""

    verdict: Verdict
    reason: str
    samples: int = 0
    """Snapshots on both sides."""
    equal: int = 0
    """Of these, how many don't differ."""
    strict: bool = False
    counts: dict[str, int] = {}
    differences: tuple[SnapshotDifference, ...] = ()
    ignored: int = 0
    expired: tuple[IgnoreRule, ...] = ()


def compare_snapshots(
    base: Path,
    target: Path,
    *,
    strict: bool = False,
    tolerance: Tolerance | None = None,
    ignore: Sequence[IgnoreRule] = (),
    now: float,
) -> SnapshotResult:
    """Compare two snapshots, or two trees of them by relative path.

    Args:
        base: A JSON file, or a folder with `*.json` in it, at any depth.
        target: What is compared with it.
        strict: Whether what only the target has, and last digits, count.
        tolerance: How far numbers may be apart; None: not at all when strict, else their last digits.
        ignore: Expected differences; `key` is a file's path.
        now: Wall-clock time, by which ignore rules end.

    Returns:
        A result, whatever happens: what can't be read is a difference of its own and the verdict `error`.
    """
    expired = expired_rules(ignore, now=now)
    try:
        pairs = _pairs(base, target)
    except (OSError, ValueError) as error:
        return SnapshotResult(verdict=Verdict.ERROR, reason=str(error), strict=strict, expired=expired)
    allowed = tolerance or (EXACT if strict else LAST_DIGITS)
    ignoring, counts, kept = Ignoring(ignore, now=now), Counter[str](), list[SnapshotDifference]()
    ignored = equal = both = 0
    for name, one, other in pairs:
        both += one is not None and other is not None
        before = counts.total()
        for found in _compare_pair(name, one, other, allowed, ignoring, strict=strict):
            if ignoring.covers(found.field, name):
                ignored += 1
                continue
            counts[found.kind] += 1
            if len(kept) < REPORTED_MAX:
                kept.append(found)
        equal += one is not None and other is not None and counts.total() == before
    verdict, reason = _judge(counts, both, equal)
    return SnapshotResult(
        verdict=verdict,
        reason=reason,
        samples=both,
        equal=equal,
        strict=strict,
        counts=dict(sorted(counts.items())),
        differences=tuple(kept),
        ignored=ignored,
        expired=expired,
    )


def snapshot_lines(result: SnapshotResult) -> list[str]:
    """Return a result for a terminal."""
    lines = [f"snapshots: {result.verdict}: {result.reason}"]
    if result.ignored:
        lines.append(f"  {result.ignored} ignored by rule")
    if result.differences:
        rows = [(one.kind, one.file, one.field, one.base, one.target) for one in result.differences[:PRINTED_MAX]]
        lines += ["", *(f"  {line}" for line in table_lines(("kind", "file", "field", "base", "target"), rows))]
        total = sum(result.counts.values())
        if total > PRINTED_MAX:
            lines.append(f"  ... and {total - PRINTED_MAX} more")
    return lines


def _pairs(base: Path, target: Path) -> list[tuple[str, Path | None, Path | None]]:
    for path in (base, target):
        if not path.exists():
            raise ValueError(f"{path} is not there")
    if base.is_dir() != target.is_dir():
        raise ValueError(f"{base} and {target} must both be folders, or both files")
    if not base.is_dir():
        return [(target.name, base, target)]
    one, other = _tree(base), _tree(target)
    return [(name, one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())]


def _tree(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for at, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            if name.endswith(".json"):
                path = Path(at) / name
                found[path.relative_to(folder).as_posix()] = path
                if len(found) > FILES_MAX:
                    raise ValueError(f"{folder} holds more than {FILES_MAX} snapshots")
    return found


def _raise(error: OSError) -> None:
    raise ValueError(f"{error.filename} can't be read: {(error.strerror or str(error)).lower()}")


def _compare_pair(
    name: str, one: Path | None, other: Path | None, allowed: Tolerance, ignoring: Ignoring, *, strict: bool
) -> Iterator[SnapshotDifference]:
    name = shown(name)
    if one is None or other is None:
        if one is not None:
            yield SnapshotDifference(kind="missing", file=name, base="a snapshot", target="(absent)")
        elif strict:
            yield SnapshotDifference(kind="extra", file=name, base="(absent)", target="a snapshot")
        return
    try:
        base, target = _read(one, "base"), _read(other, "target")
        yield from _differ(name, base, target, allowed, ignoring, strict=strict)
    except (ValueError, TooDeep) as error:
        yield SnapshotDifference(kind="unreadable", file=name, base=str(error))


def _read(path: Path, side: str) -> Any:
    try:
        return parse_json(read_bounded(path, DOCUMENT_MAX_BYTES))
    except OSError as error:
        raise ValueError(f"{side} can't be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise ValueError(f"{side} {error}") from None


def _differ(
    name: str, base: Any, target: Any, allowed: Tolerance, ignoring: Ignoring, *, strict: bool
) -> Iterator[SnapshotDifference]:
    for schema in SCHEMA_NAMES:
        one, other = _top(base, schema), _top(target, schema)
        if one is not ABSENT and other is not ABSENT and one != other and not ignoring.covers(schema, name):
            # Everything else would differ too, and say nothing: the forms must be the same first.
            yield SnapshotDifference(kind="schema", file=name, field=schema, base=shown(one), target=shown(other))
            return
    for leaf in differences(base, target, tolerance_of=lambda _: allowed):
        if leaf.control is ABSENT and not strict:
            continue
        yield SnapshotDifference(
            kind="differs", file=name, field=leaf.field, base=shown(leaf.control), target=shown(leaf.candidate)
        )


def _top(value: object, name: str) -> object:
    return value.get(name, ABSENT) if isinstance(value, dict) else ABSENT


def _judge(counts: Counter[str], both: int, equal: int) -> tuple[Verdict, str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    if counts["unreadable"]:
        return Verdict.ERROR, f"{counts['unreadable']} of {both} snapshots can't be read ({kinds})"
    if counts["schema"]:
        return (
            Verdict.FAILED,
            f"{counts['schema']} of {both} snapshots have another schema; migrate them first ({kinds})",
        )
    if counts:
        return Verdict.FAILED, f"{counts.total()} differences ({kinds}); {equal} of {both} snapshots are equal"
    if not both:
        return Verdict.INCONCLUSIVE, "there is no snapshot on both sides, which shows nothing"
    return Verdict.PASSED, f"{both} snapshot{'s' * (both != 1)} equal"
