"""Draw the rollout's state machine from its table into docs/guides/rollout.md; `--check` says whether it is current.

The table is the machine, so a diagram drawn by hand would be a second one. An event that most states share is drawn
once, from a box that says which states it stands for; otherwise forty arrows would hide the ten that matter.
"""

import sys
from collections import defaultdict
from pathlib import Path

from agt.supervisor.rollout._state import TRANSITIONS, Event, Status

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "rollout.md"
BEGIN = "<!-- drawn by scripts/state_diagram.py -->\n"
END = "<!-- end -->\n"
SHARED = 6
"""An event that as many states have in common is drawn from one box."""


def diagram() -> str:
    """Return the machine as mermaid."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_id(Status.STARTING)}"]
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in Event:
        pairs = [(source, target) for (source, on), target in TRANSITIONS.items() if on is event]
        targets = {target for _, target in pairs}
        if len(pairs) >= SHARED and len(targets) == 1:
            sources = [source for source, _ in pairs]
            box = f"any_{_id(event)}"
            missing = " or ".join(status for status in Status if status not in sources)
            lines.append(f"    {box}: any but {missing}")
            arrows[box, _id(targets.pop())].append(event.value)
            continue
        for source, target in pairs:
            arrows[_id(source), _id(target)].append(event.value)
    lines += [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    return "\n".join([*lines, "```", ""])


def drawn(page: str) -> str:
    """Return the page with the diagram of now between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.name} has no place for the diagram: {BEGIN.strip()} ... {END.strip()}")
    return before + BEGIN + diagram() + END + after


def main() -> int:
    """Write the page, or check it."""
    page = PAGE.read_text(encoding="utf-8")
    current = drawn(page)
    if "--check" in sys.argv[1:]:
        if page != current:
            sys.stderr.write("docs/guides/rollout.md is not current; run: .venv/bin/python scripts/state_diagram.py\n")
            return 1
        return 0
    PAGE.write_text(current, encoding="utf-8")
    return 0


def _id(state: Status | Event) -> str:
    return state.value.replace("-", "_")


if __name__ == "__main__":
    sys.exit(main())
