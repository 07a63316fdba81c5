"""A parity result as lines for a terminal of 80 columns or more."""

from collections.abc import Sequence
from typing import Final

from agt.router.parity._result import Found, ParityResult, SideSeen

COLUMN_MAX: Final = 40
"""Characters of one cell."""
SHOWN_ROWS: Final = 20
"""Differences that are printed; `--json` has more."""


def parity_lines(result: ParityResult) -> list[str]:
    """Return the result for people: verdict and reason, both sides, and the first differences in a table."""
    lines = [f"{result.name}: {result.verdict}: {result.reason}"]
    lines += [f"  control    {_side(result.control)}", f"  candidate  {_side(result.candidate)}"]
    if result.doubled:
        lines.append(f"  {result.doubled} key{'s' * (result.doubled != 1)} with several rows")
    lines += [
        f"  ignore rule {rule.field} of {rule.owner} ended on {rule.expires:%Y-%m-%d}: it hides nothing any more"
        for rule in result.expired
    ]
    if result.differences:
        lines.append("")
        lines += [f"  {line}" for line in _differences(result.differences[:SHOWN_ROWS])]
        total = sum(result.counts.values())
        if total > SHOWN_ROWS:
            lines.append(f"  ... and {total - SHOWN_ROWS} more")
    return lines


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table with aligned columns; long cells are cut."""
    cells = [[_cut(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _differences(found: Sequence[Found]) -> list[str]:
    rows = [
        (
            one.difference.kind,
            one.difference.key,
            one.difference.field,
            one.difference.control,
            one.difference.candidate,
            f"{one.takes} take{'s' * (one.takes != 1)}" + ("" if one.settled else ", passing so far"),
        )
        for one in found
    ]
    return table_lines(("kind", "key", "field", "control", "candidate", "stood"), rows)


def _side(side: SideSeen) -> str:
    parts = [side.source, f"{side.rows} row{'s' * (side.rows != 1)}"]
    if side.version:
        parts.append(f"version {side.version}")
    if side.age_s is not None:
        parts.append(f"{side.age_s:.1f} s old")
    parts.append(f"took {side.took_s * 1000:.0f} ms")
    return ", ".join(parts)


def _cut(cell: str) -> str:
    return cell if len(cell) <= COLUMN_MAX else f"{cell[: COLUMN_MAX - 3]}..."
