"""The application: takes views from the feed, hands them down, and carries keys out through the operator.

It owns the connection and nothing else; what is on the screen follows from the latest immutable view.
"""

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
from agt.tui._requests import NothingToDo, Wish, make_drill, make_request, make_sign_off
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
        self._overview = OverviewScreen(self.glyphs)
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
        self._leave_on_hangup()

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

    def on_overview_screen_asked(self, message: OverviewScreen.Asked) -> None:
        """Answer a key; those that ask back run beside the screen, one at a time."""
        wish = message.wish
        if wish == "help":
            self.push_screen(HelpScreen(KEYS, self.glyphs))
        elif wish == "ledger":
            self.push_screen(LedgerScreen(self.view, self.glyphs))
        elif wish == "quit":
            self.run_worker(self._leave(), name="wish", exclusive=True, group="wish")
        elif wish in ACTING:
            self.run_worker(self._carry_out(wish), name="wish", exclusive=True, group="wish")

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
        return lambda: self._overview.action_ask(wish)

    async def _carry_out(self, wish: str) -> None:
        view = self.view
        if view is None:
            self.notify("nothing has arrived from the supervisor yet", severity="warning")
            return
        if wish == "drill":
            await self._choose_drill(view)
        elif wish == "sign_off":
            await self._choose_gate(view)
        elif wish == "cause":
            await self._record_cause(view)
        else:
            try:
                request = make_request(_WISHES[wish], view)
            except NothingToDo as nothing:
                self.notify(str(nothing), severity="warning", markup=False)
                return
            await self._operator.ask(request, version=view.version)

    async def _choose_drill(self, view: View) -> None:
        choices = [Choice(drill.name, drill.says) for drill in view.drills]
        if not choices:
            self.notify("this plan offers no faults to inject", severity="warning")
            return
        chosen = await self.push_screen_wait(ChooseScreen("Inject a fault", choices))
        if chosen is not None:
            await self._operator.ask(make_drill(chosen.name, chosen.says), version=view.version)

    async def _choose_gate(self, view: View) -> None:
        choices = [Choice(gate.name, gate.reason) for gate in view.gates if gate.verdict != "passed"]
        if not choices:
            self.notify("no gate is waiting", severity="warning")
            return
        chosen = await self.push_screen_wait(ChooseScreen("Sign off a gate", choices))
        if chosen is not None:
            await self._operator.ask(make_sign_off(chosen.name), version=view.version)

    async def _record_cause(self, view: View) -> None:
        if view.status not in {"rolled-back", "killed"}:
            self.notify("nothing has gone back, so there is no cause to record", severity="warning")
            return
        cause = await self.push_screen_wait(CauseScreen(view.reason or "the rollout went back"))
        if cause is not None:
            await self._operator.record_cause(cause)

    async def _leave(self) -> None:
        if self._companion is not None and not self._companion.failure():

            async def effect() -> str:
                return "the demo's processes are ended; its records are kept"

            question = Question(title="End the demo?", yes="End it", urgent=True, effect=effect)
            if not await self.push_screen_wait(ConfirmScreen(question)):
                return
        self.exit()

    def _tick(self) -> None:
        self._overview.now = self._now()
        if self._companion is not None and self.connection.state != "live" and self._companion.failure():
            self.watch_connection(self.connection)

    def _leave_on_hangup(self) -> None:
        """Leave in good order when the terminal is closed or we are asked to end, so that a demo is ended too."""
        import asyncio  # noqa: PLC0415 - only here, and Textual has loaded it.

        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # Not in the main thread: somebody embeds us.
                loop.add_signal_handler(number, self.exit)
