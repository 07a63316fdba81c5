"""What can go is found by file and line, what only looks alike is left, and nothing goes while anyone is on legacy."""

import json
from pathlib import Path

import pytest

from agt.supervisor.cleanup import find_in_python, find_in_settings, from_report, judge_standing, survey_tree
from agt.supervisor.cli._guard import guarded
from agt.supervisor.measure import RouterSeen, RouterStatus

BEFORE = """
import os
from agt.router import CanaryRouter as Router
from rebuild.transport import LegacyTransport
import agt.router.serving
import agt.routers

# from agt.router import nothing; CANARY_PERCENTAGE = 5
WORDS = "CanaryRouter and LegacyTransport are words here"

@deprecated("Use ReliableTransport instead")
async def write(data): ...

def send(device, message, dark_launch_enabled=False):
    share = float(os.environ.get("CANARY_PERCENTAGE", 0)) + int(os.environ["HOME_PERCENTAGE"])
    router = Router(LegacyTransport(1), 2, canary_pct=share)
    return router.send(device, message)
"""


def found(finds) -> list[tuple[int, str]]:
    """Return line and name."""
    return [(one.line, one.what) for one in finds]


def test_python_is_read_by_its_tree() -> None:
    """Imports, uses under another name, marked definitions, variables by name; words and comments are left alone."""
    assert found(find_in_python("app.py", BEFORE)) == [
        (3, "CanaryRouter"),
        (3, "agt.router (CanaryRouter)"),
        (4, "LegacyTransport"),
        (5, "agt.router.serving"),
        (12, "write"),
        (14, "dark_launch_enabled"),
        (15, "CANARY_PERCENTAGE"),
        (16, "CanaryRouter"),
        (16, "LegacyTransport"),
        (16, "canary_pct"),
    ]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("canary_percentage: 100  # No longer needed", "canary_percentage"),
        ("dark_launch_enabled: false", "dark_launch_enabled"),
        ("legacy_transport_enabled = false", "legacy_transport_enabled"),
        ("export CANARY_PERCENTAGE=5", "CANARY_PERCENTAGE"),
        ('  - name: "CANARY_PERCENTAGE"', "CANARY_PERCENTAGE"),
        ("  - CANARY_PERCENTAGE=5", "CANARY_PERCENTAGE"),
        ('{"v5_enabled": true}', "v5_enabled"),
        ("ENV TESTOPS_V3_ENABLE 0.1", "TESTOPS_V3_ENABLE"),
        ('    "pytest-chaos>=0.1",', "pytest-chaos"),
        ("max_retries: 3", None),
        ("# canary_percentage: 100", None),
        ("retries: 3  # was canary_percentage: 100", None),
        ("my_canary_percentage: 3", None),
        ('says = "about canary_percentage and more"', None),
    ],
)
def test_settings_are_read_by_line(line: str, key: str | None) -> None:
    """In every form that configuration has; comments and longer names don't count."""
    finds = find_in_settings("config.yaml", f"first: 1\n{line}\n")
    assert found(finds) == ([(2, key)] if key else [])


def test_a_tree_is_looked_through_and_left_as_it_was(tmp_path) -> None:
    """Document 004's tests by name, what can't be read by name too; nothing hidden, linked or installed."""
    for name, text in {
        "src/app.py": BEFORE,
        "src/clean.py": "print(1)",
        "src/broken.py": "def (",
        "tests/test_canary_router.py": "print(1)",
        "tests/test_integration.py": "from agt.router import CanaryRouter",
        "tests/test_other.py": "print(1)",
        "config.yaml": "canary_percentage: 100\n",
        "prod.env": "DARK_LAUNCH_ENABLED=1\n",
        ".venv/lib/x.py": BEFORE,
        "node_modules/x.py": BEFORE,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.py")}
    survey = survey_tree(tmp_path)
    kinds = {(one.file, one.kind) for one in survey.finds}
    assert kinds == {
        ("src/app.py", "code"),
        ("tests/test_canary_router.py", "test"),
        ("tests/test_integration.py", "test"),
        ("config.yaml", "configuration"),
        ("prod.env", "configuration"),
    }
    assert any("stays without its legacy paths" in one.says for one in survey.finds)
    assert [line.split(":")[0] for line in survey.not_read] == ["src/broken.py"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.py")} == before


def seen(*users: str, code: tuple[str, ...] = (), up: bool = True) -> RouterSeen:
    """Return what a router says."""
    status = RouterStatus(router="r", generation=1, legacy_users=list(users), legacy_code=code)
    return RouterSeen(socket="gateway.sock", status=status if up else None)


def test_only_what_is_known_to_be_free_is_free() -> None:
    """A device, a line of running code, a silent router, no router at all: each is a reason to wait."""
    assert judge_standing([seen()]).free
    named = judge_standing([seen("lamp-1", "lamp-2")])
    assert (named.free, named.says) == (False, "2 devices are still on legacy: lamp-1, lamp-2")
    assert "app.py:3" in judge_standing([seen(code=("app.py:3 in main: LegacyTransport, 3 times",))]).says
    assert "does not answer" in judge_standing([seen(), seen(up=False)]).says
    assert not judge_standing([]).free


def test_a_completion_report_speaks_for_the_routers() -> None:
    """Where they no longer run, what was proven counts, and nothing else."""
    proofs = [{"name": "100 %", "verdict": "passed", "says": ""}, {"name": "signed", "verdict": "failed", "says": ""}]
    assert from_report(json.dumps({"complete": True, "proofs": []}).encode()).free
    unproven = from_report(json.dumps({"complete": False, "proofs": proofs}).encode())
    assert (unproven.free, unproven.says.endswith(": signed")) == (False, True)


def test_the_command_refuses_while_anyone_may_be_on_legacy(tmp_path, capsys) -> None:
    """It lists all the same, says why not, and takes another word for it only when told to."""
    (tmp_path / "app.py").write_text("from agt.router import CanaryRouter", encoding="utf-8")
    arguments = ["plan", "complete", "--check", str(tmp_path), "--run-dir", str(tmp_path / "nowhere")]
    assert guarded(arguments) == 1
    said = capsys.readouterr()
    assert "app.py:1: CanaryRouter" in said.out
    assert "not yet: it is not known who is still on legacy" in said.err
    assert guarded([*arguments, "--even-if-in-use", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["allowed"]
    report = Path(tmp_path, "completion.json")
    report.write_text('{"complete": true, "proofs": []}', encoding="utf-8")
    assert guarded([*arguments, "--report", str(report)]) == 0
    report.write_text("{}", encoding="utf-8")
    assert guarded([*arguments, "--report", str(report)]) == 1
    assert guarded(["plan", "complete", "--check", str(tmp_path / "nowhere")]) == 1
