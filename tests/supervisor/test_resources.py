"""What components cost: `/proc` read right, shares of processors, sums that hide nothing, and gates on them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.measure import Reading
from agt.supervisor.resources import ComponentUsage, Usage, UsageBook, parse_usage, read_usage
from agt.supervisor.resources._book import CPU_LEAST_S, CPU_SPAN_S
from agt.supervisor.rollout import PlanInvalid, Verdict, parse_plan
from agt.supervisor.rollout._gates import judge
from agt.supervisor.rollout._metrics import format_value
from agt.supervisor.rollout._step import look_of
from agt.supervisor.view import ProcessView

STAT = "7 (a ) (b c) S 1 7 7 0 -1 4194560 900 800 0 0 150 50 30 20 20 0 3 0 12345 999424 250 1844 1 1 0 0"
MIB = 1 << 20


def usage(cpu_s: float = 0.0, rss: int = 10 * MIB, descriptors: int | None = 5, started: int = 1) -> Usage:
    """What a component costs, where a test doesn't say."""
    return Usage(cpu_s, rss, descriptors, started)


def test_stat_is_read_by_its_last_bracket():
    """A command may be called anything; time of waited children counts, memory is in pages."""
    found = parse_usage(STAT, 4, ticks_per_s=100, page_bytes=4096)
    assert found == Usage(cpu_s=2.5, rss_bytes=250 * 4096, descriptors=4, started=12345)


@pytest.mark.parametrize("text", ["", "7 (x) S 1 2", "7 (x) " + "a " * 40])
def test_stat_that_is_none_is_refused(text):
    """Half a line, or one of another kind."""
    with pytest.raises(ValueError, match=r".+"):
        parse_usage(text, None)


def test_real_process_and_its_children_are_counted_together():
    """Descriptors and memory of a child belong to the component that started it; one that is gone has none."""
    alone = read_usage(os.getpid())
    assert alone is not None
    assert alone.rss_bytes > MIB
    held = "import sys; files = [open('/dev/null') for _ in range(40)]; print(flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    both = read_usage(os.getpid())
    child.communicate()
    assert both is not None
    assert both.descriptors >= alone.descriptors + 40
    assert both.rss_bytes > alone.rss_bytes
    assert read_usage(child.pid) is None


def test_share_of_a_processor_takes_two_looks_of_one_process():
    """Nothing at first, then time used over time gone by; a new process starts over."""
    book = UsageBook()
    book.look({"a": (7, usage(cpu_s=10.0))}, now=100.0)
    assert book.cpu_share("a") is None
    book.look({"a": (7, usage(cpu_s=10.1))}, now=100.0 + CPU_LEAST_S / 2)
    assert book.cpu_share("a") is None
    book.look({"a": (7, usage(cpu_s=11.0))}, now=104.0)
    assert book.cpu_share("a") == pytest.approx(0.25)
    book.look({"a": (7, usage(cpu_s=0.1, started=2))}, now=106.0)
    assert book.cpu_share("a") is None


def test_share_forgets_what_is_older_than_its_span():
    """A minute of work, and then a minute without any."""
    book = UsageBook()
    for second in range(int(3 * CPU_SPAN_S)):
        book.look({"a": (7, usage(cpu_s=min(second, CPU_SPAN_S)))}, now=float(second))
    assert book.cpu_share("a") == 0.0


def test_sum_is_no_number_while_one_is_down():
    """A component that isn't running must not make the others look thrifty."""
    book = UsageBook()
    book.look({"a": (7, usage()), "b": (8, usage(rss=5 * MIB))}, now=1.0)
    both = book.readings(["a", "b"])
    assert (both["rss_bytes"].value, both["descriptors"].value) == (15 * MIB, 10)
    book.look({"a": (7, usage()), "b": None}, now=2.0)
    one = book.readings(["a", "b"])
    assert (one["rss_bytes"].value, one["rss_bytes"].why) == (None, "nothing is known of b")
    assert one["rss_bytes:a"].value == 10 * MIB
    assert book.readings([])["rss_bytes"].value is None


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), min_size=2, max_size=30))
def test_share_is_never_below_nothing(steps):
    """Whatever is seen, in whatever order."""
    book, now = UsageBook(), 0.0
    for seconds, cpu_s in steps:
        now += seconds
        book.look({"a": (7, usage(cpu_s=cpu_s))}, now=now)
        assert (book.cpu_share("a") or 0.0) >= 0.0


def test_components_are_looked_at_no_more_often_than_it_makes_sense():
    """And a view shows what the last look saw; one that an operator has stopped doesn't count."""
    now, running = [100.0], [ProcessView(name="me", stage="ui", state="ready", pid=os.getpid())]
    running.append(ProcessView(name="old", stage="ui", state="stopped", order="stopped"))
    watch = ComponentUsage(lambda: running, lambda: now[0])
    first = watch.readings()["descriptors"].value
    with Path("/dev/null").open("rb"):
        assert watch.readings()["descriptors"].value == first
        now[0] += 2.0
        assert watch.readings()["descriptors"].value == first + 1
    me, old = watch.shown()
    assert me.rss_bytes > MIB
    assert me.cpu_share is not None
    assert (old.rss_bytes, old.cpu_share) == (None, None)


TEXT = """
schema = 1
name = "costs"
checks_every = "1s"
[runtimes]
control = "old"
candidate = "new"
[[component]]
name = "daemon"
stage = "daemon"
command = ["true"]
[[phase]]
name = "before"
soak = "2s"
[[phase.gate]]
metric = "samples"
runtime = "control"
at_least = 1
[[phase]]
name = "after"
route = { percent = 50 }
soak = "1h"
[[phase.gate]]
metric = "rss_bytes"
component = "daemon"
against = "baseline"
plus_percent = 20
[[phase.gate]]
metric = "descriptors"
at_most = 100
"""


def test_gates_hold_components_against_their_baseline(bench):
    """20 % more than before the candidate carried anything is too much; a component that is down passes nothing."""
    bench.plan = parse_plan(TEXT)
    gates = bench.plan.phases[1].gate

    def cost(rss, descriptors):
        bench.signals = {"rss_bytes:daemon": Reading(rss, samples=1), "descriptors": Reading(descriptors, samples=1)}

    def verdicts():
        look = look_of(bench.plan, bench.state, bench.observe(), now=bench.now)
        return [judge(gate, look).verdict for gate in gates]

    cost(100.0 * MIB, 50.0)
    bench.until("after")
    assert bench.state.baseline["rss_bytes:daemon"] == 100.0 * MIB
    bench.tick()
    cost(119.0 * MIB, 100.0)
    assert verdicts() == [Verdict.PASSED, Verdict.PASSED]
    cost(121.0 * MIB, 101.0)
    assert verdicts() == [Verdict.FAILED, Verdict.FAILED]
    cost(None, None)
    assert verdicts() == [Verdict.PENDING, Verdict.PENDING]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (('component = "daemon"', 'component = "demon"'), "phase[1].gate[0].component"),
        (('metric = "descriptors"', 'metric = "samples"\ncomponent = "daemon"'), "phase[1].gate[1].component"),
        (('against = "baseline"', 'against = "control"'), "phase[1].gate[0].against"),
    ],
)
def test_plan_check_names_a_component_that_is_none(change, path):
    """Or a metric that isn't of components, or a comparison of components with the runtime called control."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(TEXT.replace(*change))
    assert [problem.path for problem in caught.value.problems] == [path]


def test_costs_are_written_as_people_read_them():
    """Mebibytes, and a share of a core in percent."""
    assert format_value("rss_bytes", 1.5 * MIB) == "1.5 MiB"
    assert format_value("cpu_share", 0.031) == "3.10 %"
