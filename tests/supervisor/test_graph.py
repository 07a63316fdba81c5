"""Who waits for whom: order, ties by name, and all problems at once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor._errors import ComponentsInvalid
from agt.supervisor.components import STAGES, ComponentSpec, problems, start_order
from agt.supervisor.components._graph import dependants, prerequisites


def components(*texts: str) -> list[ComponentSpec]:
    """Build components from `name:stage<-dependency,dependency`; the stage is the gateway's when missing."""
    built = []
    for text in texts:
        head, _, needs = text.partition("<-")
        name, _, stage = head.partition(":")
        raw = {
            "name": name,
            "stage": stage or "gateway",
            "command": ["x"],
            "depends_on": needs.split(",") * bool(needs),
        }
        built.append(msgspec.convert(raw, ComponentSpec))
    return built


def names(specs: tuple[ComponentSpec, ...]) -> str:
    """The names in one line."""
    return " ".join(spec.name for spec in specs)


def test_stages_come_in_order_and_ties_break_by_name() -> None:
    """Whatever the order in the plan."""
    specs = components("screen:ui", "b:gateway", "d:daemon", "fleet:sources", "a:gateway")
    assert names(start_order(specs)) == "fleet a b d screen"


def test_a_dependency_comes_first() -> None:
    """Within a stage a name alone decides nothing when there is a dependency."""
    assert names(start_order(components("a<-z", "m", "z"))) == "m z a"


def test_a_component_waits_for_all_earlier_stages() -> None:
    """Not only for those that it names."""
    specs = components("s:sources", "g:gateway", "d:daemon<-g")
    assert prerequisites(specs) == {"s": (), "g": ("s",), "d": ("g", "s")}
    assert dependants(specs) == {"s": ("d", "g"), "g": ("d",), "d": ()}


def test_all_problems_are_reported_at_once() -> None:
    """A doubled name, an unknown one with the nearest, a later stage, itself, and a cycle."""
    specs = components("a<-gatewy", "a", "gateway<-gateway,d", "d:daemon", "x<-y", "y<-x")
    text = "\n".join(problems(specs))
    for part in (
        "component[1].name (a): component[0] has the same name",
        "component[0].depends_on (a): there is no component 'gatewy'; did you mean 'gateway'?",
        "component[2].depends_on (gateway): it depends on itself",
        "component[2].depends_on (gateway): 'd' is in the later stage daemon",
        "they wait for each other: x <- y <- x",
    ):
        assert part in text
    with pytest.raises(ComponentsInvalid) as caught:
        start_order(specs)
    assert caught.value.problems == problems(specs)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["{pyhton}", "-m", "x"], "unknown placeholder {pyhton}; did you mean 'python'?"),
        ([" "], "the program's name is empty"),
        (["x", "\0"], "holds a zero byte"),
    ],
)
def test_a_bad_command_is_named(command: list[str], problem: str) -> None:
    """Before anything is started."""
    spec = ComponentSpec(name="a", stage=STAGES[0], command=tuple(command))
    assert problem in "\n".join(problems([spec]))


def test_braces_of_the_program_itself_are_left_alone() -> None:
    """JSON in an argument is not ours to judge."""
    assert not problems([ComponentSpec(name="a", stage=STAGES[0], command=("x", '{"a": {run}}'))])


@pytest.mark.parametrize("probe", [{"by": "http"}, {"by": "http", "socket": "s", "port": 1}])
def test_an_http_probe_needs_one_address(probe: dict[str, object]) -> None:
    """Neither none nor two."""
    spec = msgspec.convert({"name": "a", "stage": "ui", "command": ["x"], "readiness": probe}, ComponentSpec)
    assert "needs either socket or port" in problems([spec])[0]


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "A"},
        {"name": "a/b"},
        {"stage": "later"},
        {"command": []},
        {"stop_grace_s": 0},
        {"readiness": {"by": "magic"}},
        {"unknown": 1},
    ],
)
def test_the_shape_is_checked(raw: dict[str, object]) -> None:
    """Unknown keys, bad names and impossible numbers never reach the graph."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "a", "stage": "ui", "command": ["x"], **raw}, ComponentSpec)


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.sets(st.integers(0, 9))), max_size=10))
def test_every_order_starts_nothing_before_what_it_waits_for(shape: list[tuple[str, set[int]]]) -> None:
    """Any graph is either refused or ordered so that each comes after all of its prerequisites."""
    specs = [
        ComponentSpec(name=f"c{i}", stage=stage, command=("x",), depends_on=tuple(f"c{n}" for n in sorted(needs)))
        for i, (stage, needs) in enumerate(shape)
    ]
    if problems(specs):
        with pytest.raises(ComponentsInvalid):
            start_order(specs)
        return
    order = [spec.name for spec in start_order(specs)]
    assert sorted(order) == sorted(spec.name for spec in specs)
    for name, needs in prerequisites(specs).items():
        assert all(order.index(need) < order.index(name) for need in needs)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"readiness": {"by": "log", "pattern": "ready ("}},
            "component[0].readiness (a): 'ready (' is no regular expression: missing ), unterminated subpattern",
        ),
        (
            {"liveness": {"probe": {"by": "log", "pattern": "alive"}}},
            "component[0].liveness (a): a line in its output says that it became ready, not that it still lives",
        ),
        (
            {"readiness": {"by": "command", "command": ["ask", "{rum}/x"]}},
            "component[0].readiness.command (a): unknown placeholder {rum}; did you mean 'run'?",
        ),
        ({"readiness": {"by": "command", "command": [" "]}}, "component[0].readiness.command (a): the program's name"),
    ],
)
def test_probes_are_checked_with_the_rest(fields: dict[str, object], problem: str) -> None:
    """A pattern that is none, a log line as liveness, a command that can't be meant."""
    spec = msgspec.convert({"name": "a", "stage": "gateway", "command": ["x"], **fields}, ComponentSpec)
    assert problem in "\n".join(problems([spec]))
