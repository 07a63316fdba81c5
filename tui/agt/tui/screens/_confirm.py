"""The question before anything acts: names its target, states its effect, and has its focus on the safe answer.

`y` does it and `n` or escape doesn't, whatever has the focus; enter takes the focused answer, which is "no" until
somebody moves it. What goes back can be confirmed at once; what goes forward only when its effect is known.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from agt.supervisor.actions import Refused
from agt.supervisor.client import NoSupervisor


@dataclass(kw_only=True)
class Question:
    """What is asked, and how its effect is found out."""

    title: str
    yes: str
    effect: Callable[[], Awaitable[str]]
    """Returns the effect in a sentence; may set `version`."""
    urgent: bool = False
    """Whether it may be confirmed before the effect is known."""
    details: tuple[str, ...] = ()
    note: str = ""
    version: int = 0
    """The view's version that the effect was computed from; 0 when unknown."""


class ConfirmScreen(ModalScreen[bool]):
    """A question with two answers."""

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen #dialog { width: 64; max-width: 90%; height: auto; }
    ConfirmScreen #answers { height: 1; align-horizontal: right; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no", tooltip="Change nothing"),
        Binding("left,right", "app.focus_next", "Other answer", id="confirm.other", tooltip="Move to the other answer"),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question
        self._allowed = question.urgent

    @property
    def version(self) -> int:
        """The version that the shown effect was computed from; 0 when unknown."""
        return self._question.version

    def compose(self) -> ComposeResult:
        """Lay out title, effect and answers."""
        with Vertical(id="dialog"):
            yield Static(self._question.title, id="title", markup=False)
            if self._question.note:
                yield Static(self._question.note, id="note", markup=False)
            yield Static("asking the supervisor what this would do", id="effect", markup=False)
            for detail in self._question.details:
                yield Static(detail, classes="detail", markup=False)
            with Horizontal(id="answers"):
                yield Button("n  No, change nothing", id="no", compact=True)
                yield Button(f"y  {self._question.yes}", id="yes", compact=True, disabled=not self._allowed)

    def on_mount(self) -> None:
        """Focus the safe answer and ask for the effect."""
        self.query_one("#no").focus()
        self.run_worker(self._find_effect(), exit_on_error=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer that was chosen."""
        event.stop()
        self.action_answer(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:  # noqa: FBT001 - bindings pass arguments by position.
        """Answer and leave; yes is taken only once it is allowed."""
        if yes and not self._allowed:
            self.app.bell()
            return
        self.dismiss(yes)

    async def _find_effect(self) -> None:
        effect = self.query_one("#effect", Static)
        try:
            sentence = await self._question.effect()
        except (Refused, NoSupervisor) as error:
            effect.add_class("-failed")
            effect.update(f"{error}" if not self._question.urgent else f"effect unknown: {error}")
            return
        effect.add_class("-known")
        effect.update(sentence)
        self._allowed = True
        self.query_one("#yes", Button).disabled = False
