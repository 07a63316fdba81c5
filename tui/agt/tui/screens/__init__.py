"""One file a screen: the overview, and the small ones that are laid over it."""

from agt.tui.screens._cause import CauseScreen
from agt.tui.screens._choose import Choice, ChooseScreen
from agt.tui.screens._confirm import ConfirmScreen, Question
from agt.tui.screens._help import HelpScreen
from agt.tui.screens._ledger import LedgerScreen
from agt.tui.screens._overview import OverviewScreen

__all__ = (
    "CauseScreen",
    "Choice",
    "ChooseScreen",
    "ConfirmScreen",
    "HelpScreen",
    "LedgerScreen",
    "OverviewScreen",
    "Question",
)
