"""The command line without a supervisor: help, usage, and errors in one line."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import msgspec
import pytest

from agt.router import explain as explain_device
from agt.supervisor.cli import run
from agt.supervisor.cli._explain import explained_lines
from agt.supervisor.cli._operate import preview_lines, waiting_for_signature
from agt.supervisor.cli._show import status_lines
from agt.supervisor.view import GateView, ModeView, OverrideView, Preview, ProcessView, SwitchView, View

OURS = (
    *("up", "down", "status", "advance", "hold", "resume", "rollback", "kill-switch", "set", "explain", "override"),
    *("sign-off", "record-cause", "alerts", "drill", "mode", "parity", "plan", "snapshot", "suite", "sessions"),
    *("report", "version-matrix"),
)
BROUGHT = ("chaos", "demo", "replay")

PLAN = """
schema = 1
name = "tiny"
[runtimes]
control = "legacy"
candidate = "reliable"
[[component]]
name = "gateway"
stage = "gateway"
command = ["true"]
[[phase]]
name = "canary-10"
route = { percent = 10 }
soak = "3d"
[[phase.gate]]
metric = "success_ratio"
at_least = 0.99
"""


class Said:
    """What a command printed and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> dict[str, object]:
        """Standard output as JSON."""
        decoded = msgspec.json.decode(self.out)
        assert isinstance(decoded, dict)
        return decoded


Agt = Callable[..., Said]


@pytest.fixture
def agt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agt:
    """Run a command in this process, on a run directory of its own."""
    monkeypatch.setenv("AGT_RUN_DIR", str(tmp_path))
    tmp_path.chmod(0o700)

    def call(*arguments: str) -> Said:
        status = run(arguments)
        return Said(status, *capsys.readouterr())

    return call


def test_help_names_every_command(agt: Agt) -> None:
    """Our own and those that are brought by entry point."""
    said = agt("--help")
    assert said.status == 0
    listed = {line.split()[0] for line in said.out.partition("Commands:")[2].splitlines() if line.strip()}
    assert {*OURS, *BROUGHT} <= listed
    silent = [line for line in said.out.partition("Commands:")[2].splitlines() if len(line.split()) == 1]
    assert silent == []  # Each has its line, brought ones too.


@pytest.mark.parametrize("command", OURS)
def test_each_command_explains_itself(agt: Agt, command: str) -> None:
    """`--help` everywhere, without a supervisor."""
    said = agt(command, "--help")
    assert said.status == 0
    assert said.out.startswith(f"Usage: agt {command}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch",),
        ("rollback",),
        ("rollback", "--reason", "x", "--to", "half", "--component", "codec"),
        ("set", "percentage", "101"),
        ("set", "percentage", "0.001"),
        ("set", "salt", "1"),
        ("set", "percentage", "many"),
        ("set", "devices", "1.5"),
        ("set", "devices", "-1"),
        ("set", "components.transport", "maybe"),
        ("set", "mode", "satellite"),
        ("set", "mode", "auto", "--for", "2h"),
        ("set", "percentage", "10", "--for", "2h"),
        ("override", "lamp-7", "v5"),
        ("override", "lamp-7", "control", "--for", "a while"),
        ("kill-switch", "maybe"),
        ("advance", "--nosuch"),
        ("sign-off", "gate"),
        ("sessions", "restart"),
        ("sessions", "restart", "lamp-7", "--all-on", "v4"),
        ("sessions", "restart", "lamp-7", "--per-second", "0"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(agt: Agt, arguments: tuple[str, ...]) -> None:
    """It names what is wrong and where help is."""
    said = agt(*arguments)
    assert said.status == 2
    assert said.err.startswith("agt: ")
    assert said.err.count("\n") == 1
    assert "--help`" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("alerts", "--json"),
        ("advance",),
        ("hold",),
        ("resume",),
        ("rollback", "--reason", "x"),
        ("set", "percentage", "10"),
        ("set", "devices", "7"),
        ("set", "components.transport", "off"),
        ("set", "mode", "internet", "--for", "2h"),
        ("override", "lamp-7", "control", "--reason", "flickers"),
        ("sign-off", "gate", "--by", "me"),
        ("record-cause", "x"),
        ("drill", "x"),
        ("sessions", "list"),
        ("sessions", "restart", "lamp-7"),
        ("down",),
    ],
)
def test_without_a_supervisor_there_is_one_clear_line(agt: Agt, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Status 1, the socket, the way out, and no traceback."""
    said = agt(*arguments)
    assert said.status == 1
    expected = f"agt: no supervisor answers on {tmp_path}/control.sock (no such file or directory); start one with"
    assert said.err == f"{expected} `agt up PLAN`\n"
    assert said.out == ""


def test_a_kill_works_without_a_supervisor_and_says_so(agt: Agt, tmp_path: Path) -> None:
    """The selector is taken away by the command itself; ending that needs a supervisor."""
    selector = tmp_path / "selector.toml"
    selector.write_text("generation = 3\n")
    said = agt("kill-switch", "on", "--json")
    assert said.status == 0
    assert not selector.exists()
    assert (tmp_path / "selector.toml.killed").exists()
    assert said.json["kill_switch"] is True
    assert said.json["by_supervisor"] is False
    assert said.json["routers"] == {"gateway.sock": False}
    assert agt("kill-switch", "status", "--json").json["kill_switch"] is True
    assert "needs a supervisor" in agt("kill-switch", "off").err


def test_a_kill_before_the_first_selector_leaves_the_latch(agt: Agt, tmp_path: Path) -> None:
    """Nothing to take away yet: the mark keeps a later plan from routing anything."""
    assert agt("kill-switch", "status", "--json").json["kill_switch"] is False
    assert agt("kill-switch", "on").status == 0
    assert agt("kill-switch", "status", "--json").json["kill_switch"] is True


def test_a_kill_that_reaches_nothing_is_a_failure(agt: Agt, tmp_path: Path) -> None:
    """No run directory, no gateway: it must not claim to be on."""
    said = agt("kill-switch", "on", "--run-dir", str(tmp_path / "nowhere"))
    assert said.status == 1
    assert "kill switch is NOT on" in said.out


def test_a_device_is_explained_from_a_selector_file(agt: Agt, tmp_path: Path) -> None:
    """The documented keys; a percentage on either side of the position decides."""
    selector = tmp_path / "other.toml"
    text = '[runtimes]\ncontrol = "v4"\ncandidate = "v5"\n[runtime]\nv5_enabled = true\npercentage = {}\n'
    runtimes = []
    for percentage in (0.0, 100.0):
        selector.write_text(text.format(percentage))
        said = agt("explain", "device-1", "--selector", str(selector), "--json")
        assert said.status == 0, said.err
        assert {"device", "runtime", "reason", "position", "chain"} <= set(said.json)
        runtimes.append(said.json["runtime"])
    assert runtimes == ["v4", "v5"]


def test_explanation_has_every_link_and_the_percentage(agt: Agt, tmp_path: Path) -> None:
    """In words: where, why, the position, when it moves, or why no percentage moves it."""
    selector = tmp_path / "selector.toml"
    selector.write_text(
        '[runtimes]\ncontrol = "v4"\ncandidate = "v5"\n[runtime]\nv5_enabled = true\npercentage = 25\n'
        "[components]\ntransport = false\n"
    )
    said = agt("explain", "session-alpha").out
    assert said.startswith("session-alpha is on v4: position 30.82 is not below 25 %\n")
    assert "position 30.82, moves to the candidate at 30.83 %\n" in said
    links = ("kill", "enabled", "override", "cohort", "pin", "default", "percentage", "control", "component", "mode")
    assert [line.split(":")[0].strip() for line in said.splitlines()[2:-1]] == [*links, "attachment"]
    assert said.endswith("(from the selector file: no gateway was asked for sessions and attachments)\n")
    said = agt("explain", "a", "--component", "transport").out
    assert "which it doesn't: component transport is off" in said
    (tmp_path / "agt.env").write_text("CANARY_PERCENTAGE=1\n")
    assert "is not below 1 % (CANARY_PERCENTAGE=1)" in agt("explain", "a").out


@pytest.mark.parametrize(
    ("option", "title", "key"), [((), "agt plan", "PlanFile"), (("--selector",), "agt selector", "Route")]
)
def test_schemas_are_printed(agt: Agt, option: tuple[str, ...], title: str, key: str) -> None:
    """As JSON, with every key described."""
    schema = agt("plan", "schema", *option).json
    assert schema["title"] == title
    described = schema["$defs"][key]["properties"]  # type: ignore[index]
    assert described
    assert all("description" in one or "$ref" in one or key == "PlanFile" for one in described.values())


def test_status_names_the_way_out_of_a_hold_down() -> None:
    """Five minutes are long for somebody who has mended the cause."""
    held = ProcessView(name="pump", stage="daemon", state="held-down", restarts=5, detail="held down for 300 s: x")
    lines = status_lines(View(version=1, at=0.0, plan="p", status="running", processes=(held,)))
    assert lines[-1].endswith("restarts 5: held down for 300 s: x; try it now: agt component start pump")


def test_gates_that_wait_for_a_signature_are_listed() -> None:
    """What a bare `agt sign-off` prints: gates that are open for that, with the whole command."""
    waits = GateView(name="sign-off sre", verdict="pending", reason="waits for sre: agt sign-off sre --by NAME")
    other = GateView(name="samples >= 50", verdict="pending", reason="1 of 50")
    view = View(version=1, at=0.0, plan="p", status="running", gates=(waits, other))
    assert waiting_for_signature(view) == ["sign-off sre: waits for sre: agt sign-off sre --by NAME"]


def test_a_device_that_no_router_knows_is_not_said_to_be_anywhere() -> None:
    """It is named as unknown, and only then where it would go."""
    explained = msgspec.structs.replace(explain_device(None, "valve-999"), attached=False)
    lines = explained_lines(explained)
    assert lines[0] == "no router knows valve-999: it is not attached, or it is another's name"
    assert lines[1].startswith("if it came now, it would go to ")
    there = msgspec.structs.replace(explained, attached=True)
    assert explained_lines(there)[0].startswith("valve-999 is on ")


def test_preview_is_written_down_for_people() -> None:
    """The ways, what is in flight, and names with how many more there are."""
    preview = Preview(
        action="set",
        says="moves 102 devices; up to 3 commands on legacy can't be confirmed",
        moves=102,
        to_candidate=102,
        by_kind={"warm": 100, "redial": 2},
        in_flight=7,
        unconfirmed=3,
        waiting=4,
        devices=("a", "b"),
    )
    assert preview_lines(preview) == [
        "102 to the candidate, 100 warm, 2 redial",
        "7 in flight, of which up to 3 can't be confirmed",
        "4 stay on control until their attachment to the candidate is up",
        "devices: a, b, and 100 more",
    ]
    assert preview_lines(Preview(action="hold", says="changes nothing")) == []


def test_status_shows_what_is_forced_and_what_is_overridden() -> None:
    """Switches by router, components, overrides with owner, reason and end, problems of the selector."""
    view = View(
        version=1,
        at=0.0,
        plan="p",
        status="running",
        switches=(SwitchView(router="g", variable="X", overrides=True, says="percentage 25 -> 5 (X=5)"),),
        components={"transport": False},
        overrides=(OverrideView(device="lamp-7", runtime="v4", owner="ana", reason="flickers", expires_at=0.0),),
        modes=(ModeView(router="g", says="hybrid: latency 23 ms of 10", mode="hybrid", measured="hybrid"),),
        selector_problems=("agt.env: line 1 is not NAME=value",),
    )
    lines = status_lines(view)
    assert "  ! g: percentage 25 -> 5 (X=5)" in lines
    assert "  transport: off" in lines
    assert "  mode hybrid: latency 23 ms of 10" in lines
    assert "  lamp-7 on v4, by ana: flickers, until 1970-01-01 00:00:00Z" in lines
    assert "  ! agt.env: line 1 is not NAME=value" in lines


@pytest.mark.parametrize("text", [None, "percentage = [", "nonsense = 1\n"])
def test_a_wrong_selector_is_one_message(agt: Agt, tmp_path: Path, text: str | None) -> None:
    """Missing, torn, unknown key: status 1 and the file's name."""
    selector = tmp_path / "wrong.toml"
    if text is not None:
        selector.write_text(text)
    said = agt("explain", "d", "--selector", str(selector))
    assert said.status == 1
    assert said.err.startswith(f"agt: {selector}")


def test_a_sound_plan_is_checked_and_shown(agt: Agt, tmp_path: Path) -> None:
    """In words and as JSON."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    assert agt("plan", "check", str(plan)).out == f"{plan}: tiny is sound: 1 phase, 0 rules, 1 component\n"
    sound = {"plan": str(plan), "ok": True, "problems": [], "warnings": []}
    assert agt("plan", "check", str(plan), "--json").json == sound
    assert "canary-10: 10 %, soak 3d; success_ratio" in agt("plan", "show", str(plan)).out
    assert agt("plan", "show", str(plan), "--json").json["name"] == "tiny"


def test_a_warning_leaves_a_plan_sound(agt: Agt, tmp_path: Path) -> None:
    """It is printed before the verdict, and the status is 0."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("percent = 10", "percent = 0.1"))
    said = agt("plan", "check", str(plan))
    assert said.status == 0
    assert said.out.startswith(f"{plan}: warning: phase[0].route.percent: 0.1 is 0.1 %")
    assert "is sound" in said.out


def test_a_wrong_plan_reports_all_its_problems_and_changes_nothing(agt: Agt, tmp_path: Path) -> None:
    """For `plan check` and `up` alike."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace('"3d"', '"3 days or so"').replace("success_ratio", "sucess_ratio"))
    before = sorted(tmp_path.iterdir())
    for arguments in (("plan", "check", str(plan)), ("up", str(plan))):
        said = agt(*arguments)
        assert said.status == 1
        assert "phase[0].soak" in said.err
        assert "sucess_ratio" in said.err
        assert "Traceback" not in said.err
    assert len(agt("plan", "check", str(plan), "--json").json["problems"]) == 2  # type: ignore[arg-type]
    assert sorted(tmp_path.iterdir()) == before


def test_duration_and_squeeze_exclude_each_other(agt: Agt, tmp_path: Path) -> None:
    """They say the same thing."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    assert agt("up", str(plan), "--duration", "3m", "--squeeze", "10").status == 2
    assert agt("up", str(plan), "--duration", "soon").status == 2


def bring(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Let another package bring a command."""
    brought = EntryPoints([EntryPoint(name, value, "agt.commands")])
    monkeypatch.setattr("agt.supervisor.cli._app.entry_points", brought.select)


def test_a_brought_command_is_loaded_when_it_is_called(agt: Agt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments go on to it; help lists it without importing it."""
    bring(monkeypatch, "look", "agt.supervisor.cli._plan:app")
    assert agt("look", "check", "nosuch.toml").err.startswith("agt: nosuch.toml")
    bring(monkeypatch, "look", "nowhere.at.all:app")
    assert "look" in agt("--help").out


def test_a_brought_command_without_its_extra_says_which_one(agt: Agt, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, status 1."""
    bring(monkeypatch, "rehearse", "agt.chaos.nosuch:app")
    said = agt("rehearse")
    assert said.status == 1
    assert said.err.startswith("agt: `agt rehearse` can't be loaded (No module named 'agt.chaos.nosuch'); ")
    assert said.err.endswith("pip install 'agt-migrate[chaos]'\n")


def test_what_nobody_foresaw_is_one_line_and_a_file(agt: Agt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours: no traceback in the terminal, the whole of it in the named file."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("agt.supervisor._request.Control.view", fail)
    said = agt("status")
    assert said.status == 1
    assert said.err.startswith("agt: this should not have happened (ZeroDivisionError: by zero); the details are in ")
    log = Path(said.err.split()[-1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    """A status takes no web server, no HTTP client and no database."""
    heavy = "{'starlette', 'uvicorn', 'httpx', 'textual', 'sqlite3', 'prometheus_client'}"
    code = f"import sys; from agt.supervisor.cli import run; run(['--help']); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_loads_its_own_module_and_no_other() -> None:
    """What all of them take together is a tenth of a second; one alone leaves that to the others."""
    code = (
        "import sys; from agt.supervisor.cli import run; run(['status', '--run-dir', '/nowhere']);"
        "print(sorted(m for m in sys.modules if m.startswith('agt.supervisor.cli._')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = {f"agt.supervisor.cli._{name}" for name in ("app", "guard", "options", "show")}
    assert set(ast.literal_eval(done.stdout.splitlines()[-1])) == own


def test_the_table_of_commands_is_what_the_modules_bring() -> None:
    """Every command is found by its name, and no module brings one that the table hides."""
    from agt.supervisor.cli import _app  # noqa: PLC0415 - beside its only use.

    for module, commands in _app.PARTS.items():
        assert tuple(sorted(_app._own(module).commands)) == commands


@pytest.mark.parametrize("shell", ["bash"])
def test_the_shell_completes_commands(shell: str) -> None:
    """`agt --show-completion` prints a script, and what it calls names the commands that begin so."""
    agt = Path(sys.executable).parent / "agt"
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = subprocess.run(
        [agt, "--show-completion", shell], env=environment, capture_output=True, text=True, check=True
    )
    assert "_AGT_COMPLETE" in shown.stdout
    asked = {"_AGT_COMPLETE": f"complete_{shell}", "COMP_WORDS": "agt kill", "COMP_CWORD": "1"}
    asked |= {"_TYPER_COMPLETE_ARGS": "agt kill", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = subprocess.run([agt], env=environment | asked, capture_output=True, text=True, check=False)
    assert "kill-switch" in found.stdout
    assert "rollback" not in found.stdout


def test_the_page_of_commands_is_current() -> None:
    """The script that writes it says so."""
    script = Path(__file__).parents[2] / "scripts" / "cli_reference.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
