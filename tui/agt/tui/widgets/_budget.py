"""What is left of each objective's error budget; the lowest first when there is no room for all."""

from agt.supervisor.view import BudgetView, View
from agt.tui import _format
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, bar, left, right
from agt.tui.widgets._panel import Panel


def _style(budget_left: float | None) -> str:
    if budget_left is None:
        return MUTED
    if budget_left <= 0.1:
        return "bold $error"
    return "$warning" if budget_left <= 0.5 else "$success"


class Budget(Panel):
    """One bar an objective."""

    EMPTY = "no objectives"
    SECTIONS = ("budgets",)

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "error budget"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw what fits, what is lowest first."""
        budgets = list(view.budgets)
        if len(budgets) > height:
            budgets = sorted(budgets, key=lambda budget: 2.0 if budget.left is None else budget.left)[:height]
        return [_row(budget, width, self.glyphs) for budget in budgets]


def _row(budget: BudgetView, width: int, glyphs: Glyphs) -> Line:
    value = right(_format.budget(budget.left, glyphs.dash), 6)
    bar_width = max(3, (width - len(value) - 2) // 4)
    full, empty = bar(budget.left or 0.0, bar_width, glyphs)
    name = left(budget.objective, max(4, width - len(value) - bar_width - 1), glyphs)
    style = _style(budget.left)
    return [(name + " ", ""), (full, style), (empty, MUTED), (value, style)]
