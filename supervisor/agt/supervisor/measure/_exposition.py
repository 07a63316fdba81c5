"""Reading the Prometheus text format strictly, as far as our own routers write it.

The full parser of prometheus-client builds objects for every family; at five scrapes a second that is most of a
scrape's cost. Lines that are no samples are refused with their number, never skipped in silence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_SAMPLES: Final = 20_000
"""More than this from one router is refused: a label per device is the usual cause."""

_SAMPLE: Final = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*"
)
_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"\s*(?:,|$)')
_ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\"": '"'}


class ExpositionError(ValueError):
    """Raised when a text is not in the exposition format."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a name, labels and a number."""

    name: str
    labels: dict[str, str]
    value: float


def parse_exposition(text: str) -> Iterator[Sample]:
    """Yield every sample of a `/metrics` page; a series that is there twice counts once, the first time.

    Raises:
        ExpositionError: at the first line that is neither sample nor comment, or after `MAX_SAMPLES`.
    """
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if len(seen) >= MAX_SAMPLES:
            raise ExpositionError(f"more than {MAX_SAMPLES} samples; is there a label per device?")
        match = _SAMPLE.fullmatch(line)
        if match is None:
            raise ExpositionError(f"line {number} is no sample: {line[:60]!r}")
        series = f"{match['name']}{{{match['labels']}}}"
        if series in seen:
            continue
        seen.add(series)
        try:
            value = float(match["value"])
        except ValueError:
            raise ExpositionError(f"line {number}: {match['value'][:20]!r} is no number") from None
        yield Sample(match["name"], _labels(match["labels"] or "", number), value)


def _labels(text: str, number: int) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise ExpositionError(f"line {number}: {text[position : position + 40]!r} is no label")
        labels[match[1]] = re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), match[2])
        position = match.end()
    return labels
