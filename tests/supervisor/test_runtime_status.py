"""What a daemon says of itself: known keys are taken, and silence is never zero."""

import json
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.measure import Readings, Timeline
from agt.supervisor.rollout import PlanInvalid, load_plan, parse_plan
from agt.supervisor.rollout._gates import compare
from agt.supervisor.rollout._metrics import METRICS, OF_COMPONENTS
from agt.supervisor.rollout._runtime_status import NAMES, StatusDesk, read_status
from agt.supervisor.rollout._signals import of_components
from agt.supervisor.rollout._verdict import Verdict

HEAD = """
schema = 1
name = "asks"
checks_every = "1s"
[runtimes]
control = "v4"
candidate = "v5"
"""
PHASE = """
[[phase]]
name = "canary"
soak = "1d"
[[phase.gate]]
metric = "METRIC"
equals = 0
"""
STATUS = '[runtime_status]\nsource = "unix:daemon.sock?send=status"\n'


def desk(run: Path, *, now: list[float], text: str = STATUS) -> tuple[StatusDesk, list]:
    """A desk on a run directory, and what it counted."""
    counted: list = []
    plan = parse_plan(HEAD + text + PHASE.replace("METRIC", "incidents"))
    asked = StatusDesk(plan, run, clock=lambda: now[0], counted=lambda status, at: counted.append((status, at)))
    return asked, counted


async def serve(run: Path, answer: bytes, group) -> None:
    """Be a daemon that answers each line with the same bytes."""
    listener = await anyio.create_unix_listener(run / "daemon.sock")

    async def handle(stream) -> None:
        async with stream:
            assert await stream.receive() == b"status\n"
            await stream.send(answer)

    async def listen() -> None:
        async with listener:
            await listener.serve(handle)

    group.start_soon(listen)


async def test_daemon_is_asked_over_its_socket_in_the_run_directory(tmp_path):
    """Levels become readings, counts go to whoever remembers them."""
    now = [100.0]
    asked, counted = desk(tmp_path, now=now)
    answer = {"conflicts": 3, "state_version": 42, "sources": [{"state": "active"}, {"state": "stale"}], "panes": []}
    async with anyio.create_task_group() as group:
        await serve(tmp_path, json.dumps(answer).encode() + b"\n", group)
        await asked.ask()
        group.cancel_scope.cancel()
    found = asked.readings(now=101.0)
    assert {name: one.value for name, one in found.items()} == {
        "invalid_cursors": None,
        "full_resyncs": None,
        "sources_not_active": 1.0,
        "projection_version": 42.0,
    }
    assert found["full_resyncs"].why == "the daemon doesn't say full_resyncs"
    assert [(dict(status.counts), at) for status, at in counted] == [({"conflicts": 3}, 100.0)]
    assert all(one.value is None for one in asked.readings(now=104.0).values())
    assert asked.readings(now=104.0)["conflicts"].why == "the daemon answered last 4.0 s ago"


async def test_silent_daemon_lets_no_gate_pass(tmp_path):
    """Nobody listens: every number is missing with the reason, and a gate that wants 0 stays pending."""
    asked, counted = desk(tmp_path, now=[0.0])
    await asked.ask()
    for name, reading in asked.readings(now=0.0).items():
        judged = compare(name, "equals", 0, reading, samples=0)
        assert (judged.verdict, counted) == (Verdict.PENDING, [])
        assert "the daemon says nothing" in judged.reason


async def test_plan_without_a_source_asks_nobody(tmp_path):
    """The desk ends at once, and says why there is no number."""
    asked, _ = desk(tmp_path, now=[0.0], text="")
    await asked.run()
    assert asked.readings(now=0.0)["conflicts"].why == "the plan has no [runtime_status]"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.dictionaries(st.sampled_from([*NAMES, "sources", "state_version", "instance", "x"]), inner)
            | st.lists(inner)
        ),
        max_leaves=8,
    )
)
def test_any_answer_is_read_or_refused_in_words(document):
    """Whatever JSON it is: counts are natural numbers, and anything else is one clear error."""
    try:
        found = read_status(document)
    except ValueError as error:
        says = str(error)
    else:
        says = "answers with no negative count"
        assert all(value >= 0 for value in [*found.counts.values(), *found.levels.values()])
    assert says.startswith("answers with no ")


@pytest.mark.parametrize("metric", [*NAMES, *OF_COMPONENTS])
def test_condition_on_what_nobody_says_is_refused(metric):
    """Without the source, or without components, the plan check says what to add."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(HEAD + PHASE.replace("METRIC", metric))
    (problem,) = caught.value.problems
    assert problem.path == "phase[0].gate[0].metric"
    assert problem.hint.startswith("add ")
    assert metric in METRICS


def test_source_that_is_none_is_found_with_its_key(tmp_path):
    """The plan check reads sources as whoever asks will."""
    path = tmp_path / "plan.toml"
    text = (
        HEAD
        + STATUS.replace("unix:", "unux:")
        + '[snapshots]\nprojection = "x"\n'
        + PHASE.replace("METRIC", "incidents")
    )
    path.write_text(text)
    with pytest.raises(PlanInvalid) as caught:
        load_plan(path)
    assert [problem.path for problem in caught.value.problems] == ["snapshots.projection", "runtime_status.source"]


def test_components_that_there_are_none_of_are_not_counted_as_zero():
    """Nobody watches them, so nobody knows."""
    plan = parse_plan(HEAD + PHASE.replace("METRIC", "incidents"))
    signals = of_components(plan)
    readings = Readings(timeline=Timeline(), now=1.0, control="v4", latency_limit_s=1.0, signals=signals)
    assert readings.read("restarts", "v5", start=0.0).value is None
