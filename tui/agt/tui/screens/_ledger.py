"""What became of every message and every rollback, for terminals that have no room for it beside the rest."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static

from agt.supervisor.view import View
from agt.tui._glyphs import Glyphs
from agt.tui.widgets import Ledger, Rollbacks


class LedgerScreen(ModalScreen[None]):
    """The ledger, live, over the overview."""

    DEFAULT_CSS = """
    LedgerScreen { align: center middle; }
    LedgerScreen #dialog { width: 96%; max-width: 110; height: auto; max-height: 96%; }
    LedgerScreen Rollbacks { height: 9; }
    LedgerScreen Ledger { height: 4; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l,q", "leave", "Back", id="ledger.leave", tooltip="Back to the overview"),
    ]

    view: reactive[View | None] = reactive(None)
    """The picture to show; the application keeps it fresh."""

    def __init__(self, view: View | None, glyphs: Glyphs) -> None:
        super().__init__()
        self.set_reactive(LedgerScreen.view, view)
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Lay out ledger over rollbacks."""
        with Vertical(id="dialog"):
            yield Ledger(self._glyphs).data_bind(LedgerScreen.view)
            yield Rollbacks(self._glyphs).data_bind(LedgerScreen.view)
            yield Static("escape: back", classes="detail")

    def action_leave(self) -> None:
        """Go back to the overview."""
        self.dismiss(None)
