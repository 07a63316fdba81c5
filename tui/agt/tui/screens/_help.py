"""Every key and what it does, taken from the bindings themselves, and what the marks mean."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, left, to_content

_KEYS = {"question_mark": "?", "plus": "+", "minus": "-"}


class HelpScreen(ModalScreen[None]):
    """The keys, over the overview."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen #dialog { width: 76; max-width: 96%; height: auto; max-height: 96%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "leave", "Back", id="help.leave", tooltip="Back to the overview"),
    ]

    def __init__(self, bindings: Sequence[Binding], glyphs: Glyphs) -> None:
        super().__init__()
        self._shown, self._glyphs = tuple(bindings), glyphs

    def compose(self) -> ComposeResult:
        """Lay out keys and marks."""
        with Vertical(id="dialog"):
            yield Static("Keys", id="title")
            yield Static(to_content(self._keys()))
            yield Static(to_content(self._marks()), id="marks")
            yield Static("escape: back", classes="detail")

    def action_leave(self) -> None:
        """Go back to the overview."""
        self.dismiss(None)

    def _keys(self) -> list[Line]:
        rows: list[Line] = []
        for binding in self._shown:
            first = binding.key.split(",")[0]
            rows.append([(left(_KEYS.get(first, first), 8, self._glyphs), "bold $primary"), (binding.tooltip, "")])
        rows.append([(left("ctrl+p", 8, self._glyphs), "bold $primary"), ("Find any command by its name", "")])
        return rows

    def _marks(self) -> list[Line]:
        marks = self._glyphs
        words = (
            (marks.done, "passed"),
            (marks.pending, "pending"),
            (marks.unsure, "inconclusive"),
            (marks.error, "error"),
            (marks.failed, "failed"),
            (marks.rolled_back, "rolled back"),
        )
        return [[("  ".join(f"{mark} {word}" for mark, word in words), MUTED)]]
