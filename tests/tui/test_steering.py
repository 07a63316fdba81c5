"""The keys: each asks first, states its effect, and does exactly what was agreed to."""

import anyio
import pytest
from textual.events import Key

from agt.supervisor.actions import Action, Refused
from agt.tui.screens import ConfirmScreen

EFFECT = "moves 12 devices; up to 7 commands on legacy can't be"


@pytest.mark.parametrize(
    ("key", "title", "action", "fields"),
    [
        ("a", "Advance to canary-50 (50 %)?", "advance", {"version": 41}),
        ("h", "Hold canary-25?", "hold", {}),
        ("b", "Roll back to legacy?", "rollback", {}),
        ("K", "Turn the kill switch on?", "kill-switch-on", {}),
        ("plus", "Set the percentage from 25 to 30?", "set", {"version": 41, "percentage": 30.0}),
        ("minus", "Set the percentage from 25 to 20?", "set", {"percentage": 20.0}),
    ],
)
async def test_a_key_asks_first_and_y_does_it(stage, screens, key, title, action, fields) -> None:
    """The question names target and effect; y acts; the receipt says how long it took."""
    async with screens.attached(stage) as pilot:
        await pilot.press(key)
        await screens.wait_for_text(pilot, EFFECT)
        assert title in screens.text(pilot.app)
        assert stage.script.acted == []
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the action")
        done = stage.script.acted[0]
        assert done.action == action
        assert {name: getattr(done, name) for name in ("version", "percentage")} == {
            "version": None,
            "percentage": None,
        } | fields
        assert done.key
        assert done.by
        await screens.wait_until(pilot, lambda: screens.notices(pilot), "the receipt")
        assert f"{action} done: routed in 12 ms, settled in 310 ms, 12 devices moved" in screens.notices(pilot)


@pytest.mark.parametrize("answer", ["n", "escape", "enter"])
async def test_the_safe_answer_changes_nothing(stage, screens, answer) -> None:
    """No, escape, and enter on the focused answer all leave everything as it is."""
    async with screens.attached(stage) as pilot:
        await pilot.press("b")
        await screens.wait_for_text(pilot, EFFECT)
        assert pilot.app.focused.id == "no"
        await pilot.press(answer)
        await screens.wait_until(pilot, lambda: not isinstance(pilot.app.screen, ConfirmScreen), "the question to go")
        assert stage.script.acted == []


async def test_the_other_answer_can_be_chosen_with_arrows_and_enter(stage, screens) -> None:
    """By keyboard alone, without knowing the letters."""
    async with screens.attached(stage) as pilot:
        await pilot.press("h")
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("right", "enter")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the action")
        assert stage.script.acted[0].action == "hold"


@pytest.mark.parametrize(("keys", "action"), [("by", "rollback"), ("Ky", "kill-switch-on")])
async def test_keys_typed_in_one_go_are_not_lost(stage, screens, keys, action) -> None:
    """Both keys arrive in one read of the terminal: the second answers the question that the first one opens."""
    async with screens.attached(stage) as pilot:
        for key in keys:
            pilot.app.post_message(Key(key, key))
        await screens.wait_until(pilot, lambda: stage.script.acted, "the action")
        assert [done.action for done in stage.script.acted] == [action]


async def test_going_forward_is_never_agreed_to_unseen(stage, screens) -> None:
    """Typed in one go, an advance is asked and not done: its effect was not on the screen yet."""
    stage.script.hold_previews = anyio.Event()
    async with screens.attached(stage) as pilot:
        for key in "ay":
            pilot.app.post_message(Key(key, key))
        await screens.wait_for_text(pilot, "asking the supervisor")
        stage.script.hold_previews.set()
        await screens.wait_for_text(pilot, EFFECT)
        assert stage.script.acted == []


async def test_going_back_need_not_wait_for_the_preview(stage, screens) -> None:
    """B then y acts while the supervisor is still computing the effect."""
    stage.script.hold_previews = anyio.Event()
    async with screens.attached(stage) as pilot:
        await pilot.press("b")
        await screens.wait_for_text(pilot, "asking the supervisor")
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the rollback")
        assert stage.script.acted[0].action == "rollback"
        assert stage.script.previewed == []
        stage.script.hold_previews.set()


async def test_going_forward_waits_for_the_preview(stage, screens) -> None:
    """Y does nothing until the effect is known."""
    stage.script.hold_previews = anyio.Event()
    async with screens.attached(stage) as pilot:
        await pilot.press("a")
        await screens.wait_for_text(pilot, "asking the supervisor")
        await pilot.press("y")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConfirmScreen)
        stage.script.hold_previews.set()
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the advance")


async def test_a_stale_request_is_asked_again_with_the_new_effect(stage, screens) -> None:
    """The picture changed between question and answer: it says so, and a second yes names the new version."""
    async with screens.attached(stage) as pilot:
        await pilot.press("a")
        await screens.wait_for_text(pilot, EFFECT)
        stage.script.change(reason="a gate moved")
        await pilot.press("y")
        await screens.wait_for_text(pilot, "The picture has changed since you were asked")
        assert stage.script.acted == []
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the advance")
        assert stage.script.acted[0].version == 42


async def test_a_refusal_is_shown_in_the_supervisors_words(stage, screens) -> None:
    """What it says and what to do, and nothing was done."""
    stage.script.refusal = Refused("refused", "the gate `samples` is pending", "wait about 40 s")
    async with screens.attached(stage) as pilot:
        await pilot.press("a")
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: screens.notices(pilot), "the refusal")
        assert "the gate `samples` is pending; wait about 40 s" in screens.notices(pilot)
        assert stage.script.acted == []


async def test_rolling_back_shows_on_ladder_split_and_ledger(stage, screens) -> None:
    """Two keys; then the banner, the ladder, the bars and the ledger tell what became of it."""
    async with screens.attached(stage) as pilot:
        await pilot.press("b", "y")
        await screens.wait_for_text(pilot, "back to control by operator: routed 12 ms, settled 310 ms")
        text = screens.text(pilot.app)
        assert "↺ canary-25" in text
        assert "100 %    50 dev" in text
        await pilot.press("l")
        await screens.wait_for_text(pilot, "canary-25 → control, 12 moved")
        assert "3 sent again, 1 in doubt" in screens.text(pilot.app)
        assert "48,208" in screens.text(pilot.app)


async def test_holding_again_resumes(stage, screens) -> None:
    """H toggles; resuming goes forward and names its version."""
    async with screens.attached(stage) as pilot:
        stage.script.change(status="held", reason="by operator")
        await screens.wait_for_text(pilot, "held: by operator  (h: resume)")
        await pilot.press("h")
        await screens.wait_for_text(pilot, EFFECT)
        assert "Resume canary-25?" in screens.text(pilot.app)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the action")
        assert (stage.script.acted[0].action, stage.script.acted[0].version) == ("resume", 42)


async def test_the_kill_switch_can_be_turned_off_again(stage, screens) -> None:
    """While it is on, the banner says so and K means off."""
    async with screens.attached(stage) as pilot:
        await pilot.press("K", "y")
        await screens.wait_for_text(pilot, "kill switch is on, all on control")
        await pilot.press("K")
        await screens.wait_for_text(pilot, "Turn the kill switch off?")
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: len(stage.script.acted) == 2, "the action")
        assert [action.action for action in stage.script.acted] == ["kill-switch-on", "kill-switch-off"]


async def test_a_fault_is_picked_from_the_plan_and_asked_once_more(stage, screens) -> None:
    """F lists the drills with their words; the chosen one is confirmed."""
    async with screens.attached(stage) as pilot:
        await pilot.press("f")
        await screens.wait_for_text(pilot, "kills the gateway's process")
        await pilot.press("down", "enter")
        await screens.wait_for_text(pilot, "Inject the fault kill-gateway?")
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the drill")
        assert (stage.script.acted[0].action, stage.script.acted[0].name) == ("drill", "kill-gateway")


async def test_a_gate_is_signed_off_by_name(stage, screens) -> None:
    """S offers the gates that haven't passed."""
    async with screens.attached(stage) as pilot:
        await pilot.press("s")
        await screens.wait_for_text(pilot, "Sign off a gate")
        await pilot.press("down", "enter")
        await screens.wait_for_text(pilot, "Sign off way back rehearsed?")
        await screens.wait_for_text(pilot, EFFECT)
        await pilot.press("y")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the sign-off")
        assert (stage.script.acted[0].action, stage.script.acted[0].name) == ("sign-off", "way back rehearsed")


async def test_a_cause_is_typed_and_recorded(stage, screens) -> None:
    """C takes a sentence after a rollback, and says why not before one."""
    async with screens.attached(stage) as pilot:
        await pilot.press("c")
        await screens.wait_until(pilot, lambda: "no cause to record" in screens.notices(pilot), "the reason")
        stage.script.roll_back("slo-violated")
        await screens.wait_for_text(pilot, "by slo-violated")
        await pilot.press("c")
        await screens.wait_for_text(pilot, "Why did it go back?")
        await pilot.press(*"dns", "enter")
        await screens.wait_until(pilot, lambda: stage.script.acted, "the cause")
        assert (stage.script.acted[0].action, stage.script.acted[0].reason) == ("record-cause", "dns")


async def test_read_only_shows_and_does_nothing(stage, screens) -> None:
    """Acting keys are off; looking works."""
    async with screens.attached(stage, read_only=True) as pilot:
        assert "read-only" in screens.text(pilot.app)
        await pilot.press("b", "y", "K", "y", "a", "plus", "f")
        await pilot.pause()
        assert stage.script.previewed == []
        assert stage.script.acted == []
        await pilot.press("question_mark")
        await screens.wait_for_text(pilot, "Roll back: all devices to control (b, then y)")


async def test_the_palette_finds_the_keys_by_name(stage, screens) -> None:
    """ctrl+p, a word, enter: the same question as the key's."""
    async with screens.attached(stage) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"kill switch")
        await screens.wait_for_text(pilot, "Kill switch: all to control")
        await pilot.press("enter")
        await screens.wait_for_text(pilot, "Turn the kill switch on?")


async def test_quitting_leaves_the_supervisor_alone(stage, screens) -> None:
    """Q leaves an attached screen at once; nothing is asked of the supervisor."""
    async with screens.attached(stage) as pilot:
        await pilot.press("q")
        await screens.wait_until(pilot, lambda: pilot.app._exit, "the end")
        assert stage.script.acted == []
        assert Action(action="down") not in stage.script.previewed
