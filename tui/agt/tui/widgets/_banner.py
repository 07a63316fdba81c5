"""The line that appears when something is out of the ordinary: what happened, and the key that helps."""

from typing import Final

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive

from agt.supervisor.view import RollbackView, View
from agt.tui import _format
from agt.tui._text import to_content, wrap
from agt.tui.messages import Connection
from agt.tui.widgets._panel import Panel

MOST_LINES: Final = 3


class Banner(Panel):
    """A line under the header, more for a long sentence; not there at all when there is nothing to say."""

    DEFAULT_CSS = """
    Banner { height: auto; padding: 0 1; display: none; }
    Banner.-shown { display: block; }
    """

    SECTIONS = ("kill_switch", "status", "reason", "rollbacks")

    connection: reactive[Connection] = reactive(Connection("starting"))
    """Whether what is shown is live."""

    now: reactive[float] = reactive(0.0)
    """The time of day, for the age of an old picture."""

    def view_changed(self, view: View) -> None:  # noqa: ARG002 - the sentence is made from the attribute.
        """Appear or disappear with what there is to say."""
        self._show()

    def watch_connection(self) -> None:
        """Appear or disappear with the connection."""
        self._show()

    def render(self) -> Content:
        """Draw the sentence."""
        return to_content([[(line, "bold")] for line in self._wrapped(self.content_size.width)])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's.
        """Take as many lines as the sentence needs."""
        return max(1, len(self._wrapped(width)))

    def _wrapped(self, width: int) -> list[str]:
        _, sentence = self.sentence()
        return wrap(sentence, width, MOST_LINES, self.glyphs)

    def sentence(self) -> tuple[str, str]:
        """Return how bad it is (`error`, `warning`, `success` or nothing) and the sentence."""
        if self.connection.state == "lost":
            return "error", self._lost()
        if self.connection.state == "ended":
            return "error", self.connection.reason
        if self.view is None:
            return "warning", self.connection.reason
        return _status_sentence(self.view, self.glyphs.dash)

    def _lost(self) -> str:
        sentence = f"connection lost: {self.connection.reason}"
        if self.connection.last_view_at is not None:
            sentence += f"; the picture is {_format.duration(self.now - self.connection.last_view_at)} old"
        return sentence + "; trying again"

    def _show(self) -> None:
        kind, sentence = self.sentence()
        self.set_class(bool(sentence), "-shown")
        for name in ("error", "warning", "success"):
            self.set_class(name == kind, f"-{name}")
        self.refresh(layout=True)


def _status_sentence(view: View, dash: str) -> tuple[str, str]:
    if view.kill_switch or view.status == "killed":
        return "error", f"kill switch is on, all on control{_because(view.reason)}  (K: off)"
    if view.status == "rolled-back":
        return "error", _rolled_back(view, dash)
    if view.status == "held":
        return "warning", f"held{_because(view.reason)}  (h: resume)"
    if view.status == "starting":
        return "warning", view.reason or "starting"
    if view.status == "complete":
        return "success", "the plan is complete: everything runs on the candidate"
    return "", ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _rolled_back(view: View, dash: str) -> str:
    if not view.rollbacks:
        return f"rolled back{_because(view.reason)}  (c: record cause)"
    last: RollbackView = max(view.rollbacks, key=lambda rollback: rollback.at)
    routed, settled = (_format.milliseconds(value, dash) for value in (last.routed_ms, last.settled_ms))
    return f"back to {last.to_phase} by {last.rule}: routed {routed}, settled {settled}  (c: record cause)"
