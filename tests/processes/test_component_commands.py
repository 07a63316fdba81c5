"""`agt component` and `agt why` against a running supervisor, over its death, and what they leave in the audit."""

import signal
from collections.abc import Callable

import msgspec
import pytest

Agt = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(agt: Agt) -> Callable[..., str]:
    """Run a command that has to succeed and return what it printed."""

    def call(*arguments: str) -> str:
        status, out, errors = agt(*arguments)
        assert status == 0, errors
        return out

    return call


@pytest.fixture
def refused(agt: Agt) -> Callable[..., str]:
    """Run a command that has to be refused and return why."""

    def call(*arguments: str) -> str:
        status, _, errors = agt(*arguments)
        assert status == 1
        return errors

    return call


def test_a_stopped_component_stays_stopped_until_somebody_starts_it(
    up, told, refused, plan, component, eventually, events
) -> None:
    """Refused while another needs it; forced, it stays down under the next supervisor; every order is in the audit."""
    path = plan(component("base"), component("user", depends_on=("base",)))
    first = up(path)
    eventually(lambda: first.all_ready)
    assert "user needs base; --force stops it anyway" in refused("component", "stop", "base")
    out = told("component", "stop", "base", "--force", "--by", "ann", "--reason", "new disk")
    assert out.startswith("base is stopped: stopped by ann on 20")
    assert out.rstrip().endswith("new disk")
    first.end(signal.SIGKILL)

    second = up(path)
    eventually(lambda: second.answers and second.control.why("user").state == "ready")
    assert events().count("base started") == 1
    assert "stopped by ann" in told("component", "list")
    assert told("component", "start", "base") == "base is ready\n"
    rows = second.control.audit(limit=10).rows
    assert [(row.action, row.outcome) for row in rows] == [
        ("component-start base", "done"),
        ("component-stop base", "done"),
        ("component-stop base", "refused"),
    ]
    assert rows[1].by == "claimed:ann"
    second.end(signal.SIGTERM)


def test_why_follows_the_chain_and_an_operator_tries_again(
    up, told, refused, agt, plan, component, eventually, run
) -> None:
    """A component waits for one that is held down: how long, how often, why, what it wrote; then it is mended."""
    policy = {"delay_initial_s": 0.01, "delay_max_s": 0.02, "budget": 3, "hold_down_s": 200.0}
    moody = "os.path.exists(run + '/mended') or (print('no such pane', flush=True), sys.exit(3))\nsay('READY=1')\n"
    base = component("base", f"{moody}while True: signal.pause()", stage="sources", restart=policy)
    running = up(plan(base, component("user")))
    eventually(lambda: running.answers and running.control.view().processes[0].state == "held-down")
    lines = told("why", "user").splitlines()
    assert lines[0] == "user is waiting: waits for base"
    assert lines[1].startswith("  base is held-down: held down for ")
    assert lines[1].endswith("s more after 3 failures: exited with status 3; try it now: agt component start base")
    assert lines[2:] == ["the last lines of base:", *["  | no such pane"] * 3]
    found = msgspec.json.decode(told("why", "user", "--json"))
    assert [link["name"] for link in found["chain"]] == ["user", "base"]
    assert "the plan has no component 'bas'; it has: base, user" in refused("why", "bas")
    (run / "mended").touch()
    assert told("component", "start", "base") == "base is ready\n"
    assert agt("component", "decommission", "user")[0] == 2, "it takes a reason"
    assert told("component", "decommission", "user", "--reason", "v5 has taken over").endswith(": v5 has taken over\n")
    assert "agt component revive user" in refused("component", "start", "user")
    assert told("component", "revive", "user") == "user is ready\n"
    assert running.end(signal.SIGTERM)[0] == 0
