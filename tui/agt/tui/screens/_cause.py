"""Asks for the cause of a rollback: the plan is locked until there is one."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class CauseScreen(ModalScreen[str | None]):
    """A line to type into; enter records it, escape leaves everything as it is."""

    DEFAULT_CSS = """
    CauseScreen { align: center middle; }
    CauseScreen #dialog { width: 64; max-width: 90%; height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", id="cause.leave", tooltip="Record nothing"),
    ]

    MAX_LENGTH: ClassVar[int] = 500
    """Characters that a cause may have."""

    def __init__(self, went_back: str) -> None:
        super().__init__()
        self._went_back = went_back

    def compose(self) -> ComposeResult:
        """Lay out the question and the line."""
        with Vertical(id="dialog"):
            yield Static("Why did it go back?", id="title", markup=False)
            yield Static(self._went_back, id="effect", markup=False)
            yield Input(placeholder="the cause, in a sentence", max_length=self.MAX_LENGTH, compact=True)
            yield Static("enter records it and unlocks the plan, escape leaves it locked", classes="detail")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the sentence; an empty one is none."""
        event.stop()
        if cause := event.value.strip():
            self.dismiss(cause)
        else:
            self.app.bell()

    def action_leave(self) -> None:
        """Record nothing."""
        self.dismiss(None)
