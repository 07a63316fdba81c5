"""Inject every known cause into a rollout and write whom the engine blamed into docs/reference/attribution.md.

`--check` says whether the page is current. The table is made by the engine and never by hand, with one seed, so that it
is the same each time.
"""

import sys
from pathlib import Path

from agt.chaos.rehearsal import Blamed, judge_causes, load_causes, share_right

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "attribution.md"
HEAD = """# Whom the engine blames

Written by `scripts/attribution_table.py`: each cause is injected into a rollout in virtual time (document 004's service
levels and rules, 100 messages a second, a check each minute) while the candidate carries the percentage given, stands
for some checks and is healed. The engine blames by what it does: a rule that goes back blames the candidate; a fault
that suspends names gateway, control or the environment (devices, network, the supervisor's own machine). The causes are
data, `chaos/agt/chaos/rehearsal/causes.toml`; `agt rehearse PLAN --fault NAME` puts any of them into a plan of yours.

The two that are wrong can't be told from outside: a gateway that was starved between two checks leaves slow answers on
both paths and nothing else, and where control carries nothing there is nothing to compare with.

"""


def page(table: list[Blamed]) -> str:
    """Return the page for a table."""
    right = sum(one.right for one in table)
    lines = [
        HEAD,
        f"{right} of {len(table)} are blamed on the right one ({share_right(table):.1%}).\n\n",
        "| cause | at | whose fault | blamed | after | went back | what the engine said |\n",
        "|---|---|---|---|---|---|---|\n",
    ]
    for one in table:
        cause, after = (
            one.cause,
            f"{one.after_checks} check{'s' * (one.after_checks != 1)}" if one.after_checks else "-",
        )
        blamed = one.blamed if one.right else f"**{one.blamed}**"
        back = "yes" if one.went_back else "no"
        lines.append(
            f"| {cause.says} | {cause.percent:g} % | {cause.blame} | {blamed} | {after} | {back} | {one.says} |\n"
        )
    return "".join(lines)


def made() -> str:
    """Inject everything and return the page."""
    return page(list(judge_causes(load_causes().values())))


def main() -> int:
    """Write the page, or check it."""
    current = made()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != current:
            sys.stderr.write(f"{PAGE.name} is not current; run: .venv/bin/python scripts/attribution_table.py\n")
            return 1
        return 0
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
