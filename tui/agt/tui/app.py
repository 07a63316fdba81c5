"""The application: takes views from the feed, hands them down, and carries keys out through the operator.

It owns the connection and nothing else; what is on the screen follows from the latest immutable view.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import ClassVar, Final, Protocol

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.reactive import reactive
from textual.screen import Screen

from agt.supervisor.client import Client
from agt.supervisor.view import View
from agt.tui._feed import Feed
from agt.tui._glyphs import Glyphs, terminal_glyphs
from agt.tui._operator import Operator
from agt.tui._requests import NothingToDo, Request, Wish, make_drill, make_request, make_sign_off
from agt.tui._theme import THEME
from agt.tui.messages import Connection, ConnectionChanged, SnapshotArrived
from agt.tui.screens import (
    CauseScreen,
    Choice,
    ChooseScreen,
    ConfirmScreen,
    HelpScreen,
    LedgerScreen,
    OverviewScreen,
    Question,
)
from agt.tui.screens._overview import ACTING, KEYS

_WISHES: dict[str, Wish] = {
    "advance": "advance",
    "hold": "hold",
    "rollback": "rollback",
    "kill": "kill",
    "raise": "raise",
    "lower": "lower",
}


SHOW_EVERY_S: Final = 0.25
"""Pictures that come faster are folded: people can't read faster, and drawing costs."""


class Companion(Protocol):
    """A process that the screen brought along (a demo's supervisor) and ends when it leaves."""

    def failure(self) -> str:
        """Return why it has ended, in a sentence; empty while it runs."""
        ...


class AgtApp(App[None]):
    """The live screen of one supervisor."""

    TITLE = "agt"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="app.quit", tooltip="Leave at once", show=False, priority=True)
    ]

    view: reactive[View | None] = reactive(None)
    """The latest picture, immutable."""

    connection: reactive[Connection] = reactive(Connection("starting"))
    """How we stand to the supervisor."""

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        companion: Companion | None = None,
        glyphs: Glyphs | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.glyphs = glyphs or terminal_glyphs()  # Before the stylesheet is read, which depends on it.
        super().__init__()
        self._read_only, self._companion, self._now = read_only, companion, now
        self._newest: View | None = None
        self._shown_at = 0.0
        self._client = Client(path)
        self._operator = Operator(self, self._client)
        self._overview = OverviewScreen(self.glyphs, self.wish)
        self._feed = Feed(
            self._client,
            on_view=lambda view: self.post_message(SnapshotArrived(view)),
            on_connection=lambda connection: self.post_message(ConnectionChanged(connection)),
            now=now,
            starting="starting the demo" if companion else "",
        )

    def get_default_screen(self) -> Screen[None]:
        """Start with the overview."""
        return self._overview

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return what the stylesheet needs under any theme: a quiet colour, and borders that the terminal can draw."""
        ascii_only = self.glyphs.ascii_only
        return {
            "muted": THEME.variables["muted"],
            "rule": "ascii" if ascii_only else "solid",
            "box": "ascii" if ascii_only else "round",
        }

    def on_mount(self) -> None:
        """Dress, start the clock and attach."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.set_class(self.glyphs.ascii_only, "-ascii")
        self._overview.read_only = self._read_only
        self._overview.connection = Connection(
            "starting", reason="starting the demo" if self._companion else "attaching"
        )
        self._tick()
        self.set_interval(1.0, self._tick)
        self.run_worker(self._feed.run(), name="feed")
        self._leave_when_told()

    async def on_unmount(self) -> None:
        """Drop the connections."""
        await self._client.close()

    def on_snapshot_arrived(self, message: SnapshotArrived) -> None:
        """Show the newest picture, at most one every `SHOW_EVERY_S`."""
        waiting, self._newest = self._newest is not None, message.view
        if not waiting:
            since_s = monotonic() - self._shown_at
            self.set_timer(max(0.001, SHOW_EVERY_S - since_s), self._show_newest)

    def _show_newest(self) -> None:
        self.view, self._newest, self._shown_at = self._newest, None, monotonic()

    def on_connection_changed(self, message: ConnectionChanged) -> None:
        """Show how the connection stands."""
        self.connection = message.connection

    def watch_view(self, view: View | None) -> None:
        """Hand the picture down."""
        self._overview.view = view
        for screen in self.screen_stack:
            if isinstance(screen, LedgerScreen):
                screen.view = view

    def watch_connection(self, connection: Connection) -> None:
        """Hand the connection's state down; a companion that died explains it."""
        failure = self._companion.failure() if self._companion else ""
        if failure and connection.state != "live":
            connection = Connection("ended", connection.since, failure, connection.last_view_at)
        self._overview.connection = connection

    def wish(self, wish: str) -> None:
        """Answer a key, or its name in the palette: open what it opens, at once."""
        if wish == "help":
            self.push_screen(HelpScreen(KEYS, self.glyphs))
        elif wish == "ledger":
            self.push_screen(LedgerScreen(self.view, self.glyphs))
        elif wish == "quit":
            self._leave()
        elif wish in ACTING and self.view is None:
            self.notify("nothing has arrived from the supervisor yet", severity="warning")
        elif wish in ACTING:
            assert self.view is not None, "just looked"
            self._ask(wish, self.view)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer every key by name in the palette, before Textual's own."""
        for binding in KEYS:
            wish = str(binding.id).removeprefix("overview.")
            if not (self._read_only and wish in ACTING):
                yield SystemCommand(binding.tooltip, f"key {binding.key.split(',')[0]}", self._asker(wish))
        yield from super().get_system_commands(screen)

    def action_command_palette(self) -> None:
        """Open the palette; its own invitation has a character that not every terminal can draw."""
        if self.use_command_palette and not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder="find a command", id="--command-palette"))

    def _asker(self, wish: str) -> Callable[[], None]:
        return lambda: self.wish(wish)

    def _ask(self, wish: str, view: View) -> None:
        if wish == "drill":
            drills = [Choice(drill.name, drill.says) for drill in view.drills]
            self._choose("Inject a fault", drills, "this plan offers no faults to inject", make_drill)
        elif wish == "sign_off":
            gates = [Choice(gate.name, gate.reason) for gate in view.gates if gate.verdict != "passed"]
            self._choose("Sign off a gate", gates, "no gate is waiting", make_sign_off)
        elif wish == "cause":
            self._ask_cause(view)
        else:
            try:
                request = make_request(_WISHES[wish], view)
            except NothingToDo as nothing:
                self.notify(str(nothing), severity="warning", markup=False)
                return
            self._operator.ask(request, version=view.version)

    def _choose(self, title: str, choices: list[Choice], none: str, make: Callable[[str, str], Request]) -> None:
        def chosen(choice: Choice | None) -> None:
            if choice is not None and self.view is not None:
                self._operator.ask(make(choice.name, choice.says), version=self.view.version)

        if choices:
            self.push_screen(ChooseScreen(title, choices), chosen)
        else:
            self.notify(none, severity="warning")

    def _ask_cause(self, view: View) -> None:
        def typed(cause: str | None) -> None:
            if cause is not None:
                self.run_worker(self._operator.record_cause(cause))

        if view.status in {"rolled-back", "killed"}:
            self.push_screen(CauseScreen(view.reason or "the rollout went back"), typed)
        else:
            self.notify("nothing has gone back, so there is no cause to record", severity="warning")

    def _leave(self) -> None:
        async def effect() -> str:
            return "the demo's processes are ended; its records are kept"

        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual calls it with the screen's result.
            if yes:
                self.exit()

        if self._companion is None or self._companion.failure():
            self.exit()
        else:
            question = Question(title="End the demo?", yes="End it", urgent=True, effect=effect)
            self.push_screen(ConfirmScreen(question), answered)

    def _tick(self) -> None:
        self._overview.now = self._now()
        if self._companion is not None and self.connection.state != "live" and self._companion.failure():
            self.watch_connection(self.connection)

    def _leave_when_told(self) -> None:
        """Leave in good order on SIGTERM, so that the terminal is put right and a demo is ended."""
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Not in the main thread: somebody embeds us.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
