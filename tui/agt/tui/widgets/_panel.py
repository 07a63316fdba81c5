"""What all panels share: a view comes down, lines go out, nothing is fetched.

A view comes several times a second and mostly says what the last one said, so a panel is drawn anew only when one of
the sections that it shows has changed.
"""

from typing import ClassVar

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from agt.supervisor.view import View
from agt.tui._glyphs import UNICODE, Glyphs
from agt.tui._text import MUTED, Line, to_content


class Panel(Widget, can_focus=False):
    """A titled part of the screen."""

    DEFAULT_CSS = """
    Panel {
        width: 1fr;
        height: auto;
        text-wrap: nowrap;
        text-overflow: clip;
    }
    """

    EMPTY = "nothing yet"
    """What stands in a panel that has nothing to show."""

    SECTIONS: ClassVar[tuple[str, ...]] = ()
    """The view's sections that the panel shows."""

    view: reactive[View | None] = reactive(None, repaint=False)
    """The picture to show; None until the first arrived."""

    def __init__(self, glyphs: Glyphs = UNICODE, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word.
        super().__init__(id=id)
        self.glyphs = glyphs

    def watch_view(self, old: View | None, new: View | None) -> None:
        """Draw anew where something of ours has changed."""
        if new is not None and (old is None or any(getattr(old, name) != getattr(new, name) for name in self.SECTIONS)):
            self.view_changed(new)
            self.refresh()

    def view_changed(self, view: View) -> None:
        """Set what isn't drawn by `render`: the title, say."""

    def render(self) -> Content:
        """Draw what fits."""
        width, height = self.content_size
        if self.view is None or width <= 0:
            return Content("")
        lines = self.lines(self.view, width, max(1, height))
        return to_content(lines or [[(self.EMPTY, MUTED)]])

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Return the panel's lines, each at most `width` cells, the most important `height` of them."""
        raise NotImplementedError
