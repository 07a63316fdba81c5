"""The main screen: everything about one rollout at a glance, and the keys that steer it.

It holds no state of its own: the application puts the view in, each widget takes it from here, and a key goes up
through `on_wish`. That is a call and not a message, and the bindings have priority, because keys typed in one go must
meet the question that the first of them opens. What fits is decided by the stylesheet from the size classes below.
"""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer

from agt.supervisor.view import View
from agt.tui._glyphs import Glyphs
from agt.tui.messages import Connection
from agt.tui.widgets import (
    Alerts,
    Banner,
    Budget,
    Charts,
    Gates,
    Header,
    Ladder,
    Ledger,
    Processes,
    Rollbacks,
    Traffic,
)

ACTING = frozenset({"advance", "hold", "rollback", "kill", "raise", "lower", "drill", "cause", "sign_off"})
"""What `--read-only` turns off."""


def _key(key: str, wish: str, label: str, tooltip: str, *, show: bool = True, written: str | None = None) -> Binding:
    action, name = f"ask('{wish}')", f"overview.{wish}"
    return Binding(key, action, label, id=name, tooltip=tooltip, show=show, key_display=written, priority=True)


KEYS: tuple[Binding, ...] = (
    _key("a", "advance", "advance", "Advance to the next phase, if its gates allow"),
    _key("h", "hold", "hold", "Hold where it is; again to resume"),
    _key("b", "rollback", "back", "Roll back: all devices to control (b, then y)"),
    _key("K", "kill", "kill", "Kill switch: all to control, latched; again to turn it off"),
    _key("plus,equals_sign", "raise", "%", "Raise the percentage by 5 points", written="+/-"),
    _key("minus", "lower", "%", "Lower the percentage by 5 points", show=False),
    _key("f", "drill", "fault", "Inject a fault that the plan offers"),
    _key("c", "cause", "cause", "Record the cause of a rollback, which unlocks the plan"),
    _key("s", "sign_off", "sign off", "Sign off a gate by name", show=False),
    _key("l", "ledger", "ledger", "What became of every message, and every rollback"),
    _key("question_mark", "help", "help", "This page"),
    _key("q", "quit", "quit", "Leave; the supervisor goes on (a demo is ended)"),
)


class OverviewScreen(Screen[None]):
    """The picture and its keys."""

    DEFAULT_CSS = """
    OverviewScreen { layout: vertical; overflow: hidden; }
    OverviewScreen #body { height: 1fr; }
    OverviewScreen #right { width: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = list(KEYS)
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so that ClassVar is refused.
        (0, "-narrow"),
        (116, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - as above.
        (0, "-short"),
        (38, "-tall"),
    ]

    view: reactive[View | None] = reactive(None)
    """The picture; the application assigns it."""

    connection: reactive[Connection] = reactive(Connection("starting"))
    """Whether it is live."""

    now: reactive[float] = reactive(0.0)
    """The time of day."""

    read_only: reactive[bool] = reactive(False, bindings=True)  # noqa: FBT003 - a reactive's default has no name.
    """Whether acting keys are off."""

    def __init__(self, glyphs: Glyphs, on_wish: Callable[[str], None]) -> None:
        super().__init__()
        self._glyphs, self._on_wish = glyphs, on_wish

    def compose(self) -> ComposeResult:
        """Lay out two columns under the header."""
        screen = OverviewScreen
        yield Header(self._glyphs).data_bind(screen.view, screen.connection, screen.now, screen.read_only)
        yield Banner(self._glyphs).data_bind(screen.view, screen.connection, screen.now)
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Ladder(self._glyphs).data_bind(screen.view)
                yield Budget(self._glyphs).data_bind(screen.view)
                yield Processes(self._glyphs).data_bind(screen.view)
                yield Rollbacks(self._glyphs).data_bind(screen.view)
            with Vertical(id="right"):
                with Vertical(id="traffic"):
                    yield Traffic(self._glyphs).data_bind(screen.view)
                    yield Charts(self._glyphs).data_bind(screen.view)
                yield Gates(self._glyphs).data_bind(screen.view)
                yield Ledger(self._glyphs).data_bind(screen.view)
                yield Alerts(self._glyphs).data_bind(screen.view)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Name the container that has no widget of its own."""
        self.query_one("#traffic").border_title = "traffic"

    def watch_connection(self, connection: Connection) -> None:
        """Grey the last picture while it isn't live."""
        self.set_class(connection.state in {"lost", "ended"}, "-stale")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show acting keys as off when the screen is read-only."""
        if action == "ask" and self.read_only and parameters and parameters[0] in ACTING:
            return None
        return super().check_action(action, parameters)

    def action_ask(self, wish: str) -> None:
        """Pass a key on."""
        self._on_wish(wish)
