"""A small list to choose one from: faults to inject, gates to sign off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from agt.tui._text import MUTED


@dataclass(frozen=True)
class Choice:
    """One entry: its name, and what it means."""

    name: str
    says: str


class ChooseScreen(ModalScreen[Choice | None]):
    """A list; enter chooses, escape leaves."""

    DEFAULT_CSS = """
    ChooseScreen { align: center middle; }
    ChooseScreen #dialog { width: 64; max-width: 90%; height: auto; max-height: 90%; }
    ChooseScreen OptionList { height: auto; max-height: 14; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", id="choose.leave", tooltip="Choose nothing"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._heading, self._choices = title, tuple(choices)

    def compose(self) -> ComposeResult:
        """Lay out title and list."""
        with Vertical(id="dialog"):
            yield Static(self._heading, id="title", markup=False)
            yield OptionList(*(Option(_prompt(choice)) for choice in self._choices), compact=True)
            yield Static("enter chooses, escape leaves; you are asked once more", classes="detail")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the chosen one."""
        event.stop()
        self.dismiss(self._choices[event.option_index])

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)


def _prompt(choice: Choice) -> Content:
    return Content.assemble((choice.name, "bold"), "  ", (choice.says, MUTED))
