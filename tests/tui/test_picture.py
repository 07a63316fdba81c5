"""What stands on the screen at the sizes that people have, with and without a supervisor."""

import msgspec
import pytest

from agt.supervisor.view import AlertView, BudgetView, GateView
from agt.tui._glyphs import ASCII

NUMBERS = ("98.7 %", "91 ms", "244 ms", "820", "100.0 %", "90 ms", "239 ms", "270", "76 %", "24 %", "38 dev", "12 dev")
WORDS = (
    "cync-tcp",
    "canary-25  9s of 24s",
    "squeeze 14,400x",
    "● live",
    "08:00:00",
    "✓ dark-launch",
    "▸ canary-25",
    "15s",
    "· removal",
    "success",
    "in flight",
    "gates of canary-25",
    "success >= 99.9 %",
    "samples >= 10,000",
    "7,214",
    "about 40 s more",
    "way back rehearsed",
    "not since canary-10",
    "error budget",
    "74 %",
    "alerts (1 open)",
    "07:59:52 warn",
    "● fleet",
    "gateway",
    "r1",
    "○ daemon",
    "waits for gateway",
    "a advance",
    "b back",
    "q quit",
)


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (160, 24), (80, 48)])
async def test_every_panel_shows_its_key_text(stage, screens, size) -> None:
    """All panels, whole numbers, and a footer that reaches its last key, at each size."""
    async with screens.attached(stage, size) as pilot:
        text = screens.text(pilot.app)
        assert [word for word in (*WORDS, *NUMBERS) if word not in text] == []
        assert "▇" in text
        assert "p99" in text


async def test_a_large_terminal_shows_ledger_rollbacks_and_more(stage, screens) -> None:
    """160x48 has room for what 80x24 keeps behind `l`."""
    stage.script.roll_back("slo-violated")
    async with screens.attached(stage, (160, 48)) as pilot:
        text = screens.text(pilot.app)
        for word in ("accepted", "not delivered", "indeterminate", "48,211", "7,214", "slo-violated", "pid 4711"):
            assert word in text
        assert "canary-25 → control, 12 moved" in text
        assert "inconclusive" in text


async def test_large_numbers_are_never_cut(stage, screens) -> None:
    """Seven digits a second, seconds of latency and an overspent budget still stand there whole at 80x24."""
    legacy, reliable = stage.script.current.runtimes
    stage.script.current = msgspec.structs.replace(
        stage.script.current,
        runtimes=(
            msgspec.structs.replace(legacy, p50_s=1.25, p99_s=12.4, rate=123_456.0, in_flight=98_765, devices=100_000),
            msgspec.structs.replace(reliable, success=0.99996, p50_s=0.0004),
        ),
    )
    async with screens.attached(stage) as pilot:
        text = screens.text(pilot.app)
        for number in ("1.25 s", "12.4 s", "123,456", "98,765", "100,000 dev", "99.9 %", "0.4 ms"):
            assert number in text


async def test_a_budget_that_is_long_gone_reads_spent(stage, screens) -> None:
    """Minus eleven thousand percent says no more than that, and takes the objective's name away."""
    stage.script.current = msgspec.structs.replace(
        stage.script.current,
        budgets=(BudgetView(objective="success", left=-116.65), BudgetView(objective="p99", left=-0.5)),
    )
    async with screens.attached(stage) as pilot:
        text = screens.text(pilot.app)
        assert "spent" in text
        assert "-50 %" in text
        assert "11665" not in text


async def test_a_crowded_first_line_keeps_state_progress_and_clock(stage, screens) -> None:
    """A long plan name is cut and the squeeze goes, before anything that is needed does."""
    phases = tuple(
        msgspec.structs.replace(phase, soak_s=359_940.0, carried_s=183_600.0) if phase.state == "active" else phase
        for phase in stage.script.current.phases
    )
    stage.script.current = msgspec.structs.replace(
        stage.script.current, plan="a-plan-with-a-rather-long-name", status="held", phases=phases
    )
    async with screens.attached(stage) as pilot:
        first = screens.text(pilot.app).splitlines()[0]
        for word in ("a-plan", "HELD", "canary-25", "2d 03h of 4d 03h", "live", "08:00:00"):
            assert word in first
        assert "squeeze" not in first


async def test_ascii_terminals_get_ascii_only(stage, screens) -> None:
    """No character beyond ASCII anywhere: panels, borders, dialog, footer."""
    stage.script.roll_back("slo-violated")
    for size in ((80, 24), (160, 48)):
        async with screens.attached(stage, size, glyphs=ASCII) as pilot:
            assert screens.text(pilot.app).isascii()
            assert "< canary-25" in screens.text(pilot.app)
            for key in ("b", "l", "question_mark", "f", "c", "ctrl+p") if size == (80, 24) else ():
                await pilot.press(key)
                await pilot.pause()
                assert screens.text(pilot.app).isascii(), key
                await pilot.press("escape")


async def test_without_colour_every_state_still_has_its_mark(stage, screens, monkeypatch) -> None:
    """NO_COLOR: no hue in any cell, and marks and words tell the states."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with screens.attached(stage) as pilot:
        assert pilot.app.no_color
        assert "▸ canary-25" in screens.text(pilot.app)
        for filter_ in pilot.app._filters:
            if type(filter_).__name__ == "Monochrome":
                break
        else:
            pytest.fail("nothing takes the colours out")


async def test_gates_in_the_way_come_first_when_there_is_no_room(stage, screens) -> None:
    """Nine gates in six lines: failed before pending before passed, and how many are hidden."""
    gates = [GateView(name=f"fine-{index}", verdict="passed", reason="ok") for index in range(7)]
    gates += [
        GateView(name="late", verdict="pending", reason="soon"),
        GateView(name="bad", verdict="failed", reason="no"),
    ]
    async with screens.attached(stage) as pilot:
        stage.script.change(gates=tuple(gates))
        await screens.wait_for_text(pilot, "✗ bad")
        text = screens.text(pilot.app)
        assert text.index("✗ bad") < text.index("· late") < text.index("✓ fine-0")
        assert "and 4 more" in text


async def test_nothing_measured_is_a_dash_and_not_a_zero(stage, screens) -> None:
    """A legacy path without an observer has no success and no latency."""
    legacy, reliable = stage.script.current.runtimes
    blind = msgspec.structs.replace(legacy, success=None, p50_s=None, p99_s=None)
    stage.script.current = msgspec.structs.replace(stage.script.current, runtimes=(blind, reliable))
    async with screens.attached(stage) as pilot:
        row = next(line for line in screens.text(pilot.app).splitlines() if "legacy" in line and "820" in line)
        assert row.count("–") == 3  # noqa: RUF001 - the dash that the screen draws.
        assert "0.0 %" not in row


async def test_an_alerts_markup_is_text(stage, screens) -> None:
    """What comes from outside is never read as styling."""
    nasty = AlertView(id=9, at=0.0, severity="warn", source="[red]x", message="[bold]y[/] [link=z]", open=True)
    async with screens.attached(stage) as pilot:
        stage.script.change(alerts=(nasty,))
        await screens.wait_for_text(pilot, "[red]x [bold]y[/] [link=z]")


async def test_a_lost_supervisor_is_said_and_the_last_picture_stays(stage, screens) -> None:
    """Banner with reason and age, the old numbers greyed, and live again when it is back."""
    clock = [1_800_000_000.0]
    app = stage.app(now=lambda: clock[0])
    async with app.run_test(size=(80, 24)) as pilot:
        async with stage.served():
            await screens.wait_for_text(pilot, "● live")
        clock[0] += 6.0
        await screens.wait_for_text(pilot, "○ lost")
        app._tick()
        await screens.wait_for_text(pilot, "connection lost: ")
        text = screens.text(app)
        assert "the picture is 6s old; trying again" in " ".join(text.split())
        assert "98.7 %" in text
        assert app.screen.has_class("-stale")
        async with stage.served():
            await screens.wait_for_text(pilot, "● live")
            assert not app.screen.has_class("-stale")
            assert "connection lost" not in screens.text(app)


async def test_going_back_without_a_supervisor_says_that_it_was_not_done(stage, screens) -> None:
    """The question still opens; yes ends in one sentence, never a traceback."""
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        async with stage.served():
            await screens.wait_for_text(pilot, "● live")
        await screens.wait_for_text(pilot, "○ lost")
        await pilot.press("b")
        await screens.wait_for_text(pilot, "effect unknown: no supervisor answers")
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: screens.notices(pilot), "the notice")
        assert "not done, as far as known: no supervisor answers" in screens.notices(pilot)


async def test_before_the_first_picture_it_says_that_it_is_starting(stage, screens) -> None:
    """A demo's screen stands at once, with what it waits for, and then comes alive by itself."""

    class Companion:
        def failure(self) -> str:
            return ""

    app = stage.app(companion=Companion())
    async with app.run_test(size=(80, 24)) as pilot:
        await screens.wait_for_text(pilot, "starting the demo")
        assert "○ starting" in screens.text(app)
        async with stage.served():
            await screens.wait_for_text(pilot, "● live")
            await pilot.press("q")
            await screens.wait_for_text(pilot, "End the demo?")


async def test_a_demo_that_died_explains_itself(stage, screens) -> None:
    """Its last words are the banner."""

    class Companion:
        def failure(self) -> str:
            return "the demo ended (exit status 1): no room"

    app = stage.app(companion=Companion())
    async with app.run_test(size=(80, 24)) as pilot:
        await screens.wait_for_text(pilot, "the demo ended (exit status 1): no room")
