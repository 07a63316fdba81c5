"""The decision: order of the rules, vetoes, reasons, and what can never happen."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router import (
    Override,
    Route,
    Runtimes,
    Selector,
    decide,
    explain,
    format_selector,
    moves_at,
    parse_selector,
    position,
)
from agt.router._decision import RULES, VETOES, Situation, Subject, choose, decide_in
from agt.router._explain import explain_in
from agt.router._position import order

NAMES = Runtimes(control="v4", candidate="v5")
NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.UTC)
IN, OUT = "a", "session-alpha"
"""Devices at positions 20.22 and 30.82."""


def selector(percentage: float | None = 25.0, *, enabled: bool = True, **fields: object) -> Selector:
    """A selector at 25 %, which takes `IN` and leaves `OUT`."""
    route = {name: fields.pop(name) for name in list(fields) if name in Route.__struct_fields__}
    return Selector(runtimes=NAMES, runtime=Route(enabled=enabled, percentage=percentage, **route), **fields)


def override(device: str, runtime: str, expires: datetime.datetime | None = None) -> tuple[Override, ...]:
    """One override by ana."""
    return (Override(device=device, runtime=runtime, owner="ana", reason="flickers", expires=expires),)


@pytest.mark.parametrize(
    ("chosen", "device", "more", "runtime", "rule", "reason"),
    [
        (selector(), IN, {}, "v5", "percentage", "position 20.22 is below 25 %"),
        (selector(), OUT, {}, "v4", "control", "position 30.82 is not below 25 %"),
        (None, IN, {"runtimes": NAMES}, "v4", "kill", "no readable selector"),
        (selector(), IN, {"killed": "by ana"}, "v4", "kill", "killed: by ana"),
        (selector(kill_switch=True), IN, {}, "v4", "kill", "kill switch is on"),
        (selector(), IN, {"environment": {"CANARY_PERCENTAGE": "20"}}, "v4", "control",
         "position 20.22 is not below 20 % (CANARY_PERCENTAGE=20)"),
        (selector(enabled=False), IN, {}, "v4", "enabled", "v5 is not enabled"),
        (selector(enabled=False, overrides=override(OUT, "v5")), OUT, {}, "v4", "enabled", "v5 is not enabled"),
        (selector(overrides=override(OUT, "v5")), OUT, {}, "v5", "override", "override by ana: flickers"),
        (selector(overrides=override(IN, "v4"), cohort=(IN,)), IN, {}, "v4", "override", "override by ana: flickers"),
        (selector(overrides=override(IN, "v4", NOON)), IN, {"now": NOON.timestamp()}, "v5", "percentage",
         "position 20.22 is below 25 %"),
        (selector(cohort=(OUT,)), OUT, {}, "v5", "cohort", f"{OUT} is in the cohort"),
        (selector(cohort=("s1",)), OUT, {"session": "s1"}, "v5", "cohort", "s1 is in the cohort"),
        (selector(cohort=(IN,), pin_live_sessions=True), IN, {"live_on": "v4"}, "v5", "cohort",
         f"{IN} is in the cohort"),
        (selector(pin_live_sessions=True), IN, {"live_on": "v4"}, "v4", "pin",
         "live session stays on v4 until it restarts"),
        (selector(pin_live_sessions=True), IN, {}, "v5", "percentage", "position 20.22 is below 25 %"),
        (selector(0.0, pin_live_sessions=True), IN, {"live_on": "v5"}, "v4", "control",
         "position 20.22 is not below 0 %"),
        (selector(None, up_to=IN), IN, {}, "v5", "percentage", f"position 20.22 is not after {IN}, the last device"),
        (selector(None, up_to=IN), OUT, {}, "v4", "control", f"position 30.82 is after {IN}, the last device"),
        (selector(20.0, up_to=OUT), IN, {}, "v4", "control", "position 20.22 is not below 20 %"),
        (selector(None, up_to=OUT), IN, {"environment": {"CANARY_PERCENTAGE": "20"}}, "v4", "control",
         "position 20.22 is not below 20 % (CANARY_PERCENTAGE=20)"),
        (selector(None, default="v5"), OUT, {}, "v5", "default", "v5 is the default"),
        (selector(components={"codec": False}), IN, {"component": "codec"}, "v4", "component",
         "component codec is off"),
        (selector(components={"codec": True}), IN, {"component": "codec"}, "v5", "percentage",
         "position 20.22 is below 25 %"),
        (selector(), IN, {"component": "x"}, "v4", "component", "component x is unknown, and so off"),
        (selector(modes={"internet": False}), IN, {"mode": "internet"}, "v4", "mode",
         "network mode internet is kept on v4"),
        (selector(modes={"internet": False}), IN, {"mode": "hybrid"}, "v5", "percentage",
         "position 20.22 is below 25 %"),
        (selector(), IN, {"candidate_ready": False}, "v4", "attachment", "no candidate attachment"),
    ],
)  # fmt: skip
def test_first_rule_that_answers_wins(
    chosen: Selector | None, device: str, more: dict[str, object], runtime: str, rule: str, reason: str
) -> None:
    """Each rule and veto, beside the ones it goes before."""
    decision = decide(chosen, device, **more)
    assert (decision.runtime, decision.rule, decision.reason) == (runtime, rule, reason)


routes = st.builds(
    Route,
    default=st.sampled_from(["", "v4"]),
    enabled=st.booleans(),
    cohort=st.lists(st.sampled_from(["a", "b", "s"]), max_size=2).map(tuple),
    percentage=st.none() | st.integers(0, 10_000).map(lambda hundredths: hundredths / 100),
    up_to=st.sampled_from(["", "", "a", "c"]),
    salt=st.sampled_from(["", "x"]),
    pin_live_sessions=st.booleans(),
    kill_switch=st.booleans(),
)
subjects = st.builds(
    Subject,
    device=st.sampled_from(["a", "b", "c", "d"]),
    session=st.sampled_from([None, "s"]),
    component=st.sampled_from([None, "on", "off", "unheard"]),
    mode=st.sampled_from([None, "internet", "hybrid"]),
    now=st.floats(0, 2e9),
    live_on=st.sampled_from([None, "v4", "v5"]),
    candidate_ready=st.booleans(),
)


@st.composite
def selectors(draw: st.DrawFn) -> Selector | None:
    """Any selector, or none."""
    if draw(st.booleans()) and draw(st.booleans()):
        return None
    forced = draw(st.sampled_from([None, "v4", "v5"]))
    return Selector(
        runtimes=NAMES,
        runtime=draw(routes),
        components={"on": True, "off": False},
        modes={"internet": draw(st.booleans())},
        overrides=override("b", forced, draw(st.sampled_from([None, NOON]))) if forced else (),
    )


@given(selectors(), subjects, st.sampled_from(["", "by ana"]))
def test_fast_answer_and_whole_chain_agree(chosen: Selector | None, subject: Subject, killed: str) -> None:
    """`choose` is what routes, `decide` is what explains: never two answers."""
    situation = Situation(chosen, runtimes=NAMES, killed=killed)
    assert choose(situation, subject) == decide_in(situation, subject).runtime


@given(selectors(), subjects)
def test_chain_names_every_rule_and_ends_at_the_decision(chosen: Selector | None, subject: Subject) -> None:
    """One link a rule, in order; exactly one decides, the ones before pass, the ones after aren't reached."""
    decision = decide_in(Situation(chosen, runtimes=NAMES), subject)
    assert [link.rule for link in decision.chain] == [rule.name for rule in (*RULES, *VETOES)]
    verdicts = [link.verdict for link in decision.chain[: len(RULES)]]
    deciding = verdicts.index("decides")
    assert verdicts == ["passes"] * deciding + ["decides"] + ["not reached"] * (len(RULES) - deciding - 1)
    vetoes = [link for link in decision.chain[len(RULES) :] if link.verdict == "vetoes"]
    last = vetoes[0] if vetoes else decision.chain[deciding]
    assert (decision.rule, decision.runtime, decision.reason) == (last.rule, last.runtime, last.says)
    assert decision.reason


@given(subjects, selectors(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_raising_the_percentage_moves_nobody_back(
    subject: Subject, chosen: Selector | None, first: int, second: int
) -> None:
    """All else equal, whoever is on the candidate at the lower percentage is there at the higher one."""
    if chosen is None:
        return
    low, high = sorted((first / 100, second / 100))
    at_low = choose(Situation(chosen.with_route(percentage=low, default="")), subject)
    at_high = choose(Situation(chosen.with_route(percentage=high, default="")), subject)
    assert (at_low, at_high) != ("v5", "v4")


fleets = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=60, unique=True)
salts = st.sampled_from(["", "autumn"])


def on_candidate(chosen: Selector, fleet: list[str]) -> set[str]:
    """Who of a fleet is on the candidate."""
    situation = Situation(chosen)
    return {device for device in fleet if choose(situation, Subject(device)) == "v5"}


@given(fleets, salts, st.integers(0, 10_000), st.integers(0, 10_000))
def test_lowering_takes_the_last_in_out_first(fleet: list[str], salt: str, first: int, second: int) -> None:
    """Step by step downwards, whoever leaves had come after everyone who stays."""
    low, high = sorted((first / 100, second / 100))
    before, after = on_candidate(selector(high, salt=salt), fleet), on_candidate(selector(low, salt=salt), fleet)
    assert after <= before
    came_in_at = {device: moves_at(device, salt) for device in fleet}
    left = before - after
    assert all(came_in_at[stays] < came_in_at[leaves] for stays in after for leaves in left)


@given(fleets, salts, st.data())
def test_a_share_can_end_at_any_single_device(fleet: list[str], salt: str, data: st.DataObject) -> None:
    """Exactly n of a fleet, whatever their hashes; one more is the same and one more, one fewer the last one less."""
    ranked = sorted(fleet, key=lambda device: order(device, salt))
    count = data.draw(st.integers(1, len(fleet)))
    carried = on_candidate(selector(None, up_to=ranked[count - 1], salt=salt), fleet)
    assert carried == set(ranked[:count])
    share = selector(None, up_to=ranked[count - 1], salt=salt).percentage
    assert carried <= on_candidate(selector(share, salt=salt), fleet)


@given(fleets, selectors())
def test_restart_changes_nobody(fleet: list[str], chosen: Selector | None) -> None:
    """The selector's text, read by a new process, decides the same for every device."""
    if chosen is None:
        return
    again = parse_selector(format_selector(chosen))
    assert on_candidate(again, fleet) == on_candidate(chosen, fleet)


@given(selectors(), subjects)
def test_explanation_knows_whether_the_percentage_decides(chosen: Selector | None, subject: Subject) -> None:
    """When nothing holds it, the device moves exactly at its own percentage; when something does, at none."""
    situation = Situation(chosen, runtimes=NAMES)
    told = explain_in(situation, subject)
    below, at = (choose(situation.at_share(share), subject) for share in (told.moves_at - 0.01, told.moves_at))
    assert (below, at) == ("v4", "v5") if not told.held_by else below == at
    assert bool(told.held_by) == bool(told.held_because)


@given(subjects, selectors())
def test_kill_leaves_nobody_on_the_candidate(subject: Subject, chosen: Selector | None) -> None:
    """Neither override, cohort nor pin stands in its way."""
    assert choose(Situation(chosen, runtimes=NAMES, killed="now"), subject) == "v4"


def test_explanation_says_at_which_percentage_the_device_moves() -> None:
    """One step below it stays, at it it moves."""
    explanation = explain(selector(), OUT)
    assert (explanation.position, explanation.moves_at) == (30.82, 30.83)
    assert position(OUT) == 30.82
    assert decide(selector(30.82), OUT).runtime == "v4"
    assert decide(selector(30.83), OUT).runtime == "v5"
