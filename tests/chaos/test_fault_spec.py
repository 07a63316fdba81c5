"""Reading `KIND:TARGET[:AMOUNT]@PHASE`."""

import pytest

from agt.chaos.demo._fault_spec import FORMS, WrongFault, parse_faults


@pytest.mark.parametrize(
    ("text", "kind", "target", "amount", "phase"),
    [
        ("latency:candidate:2s@canary-25", "latency", "candidate", 2.0, "canary-25"),
        ("drop:all:0.1@canary-25", "drop", "all", 0.1, "canary-25"),
        ("duplicate:candidate:0.1@canary-10", "duplicate", "candidate", 0.1, "canary-10"),
        ("stall:candidate@canary-50", "stall", "candidate", 0.0, "canary-50"),
        ("cut:candidate:500ms@canary-50", "cut", "candidate", 0.5, "canary-50"),
        ("kill:gateway@canary-50", "kill", "gateway", 0.0, "canary-50"),
        ("lose:candidate:3@canary-50", "lose", "candidate", 3.0, "canary-50"),
        ("bandwidth:all:200mbit@canary-50", "bandwidth", "all", 200e6, "canary-50"),
        ("bandwidth:control:1.5Gbit@canary-50", "bandwidth", "control", 1.5e9, "canary-50"),
        ("limit:all:4096@canary-50", "limit", "all", 4096.0, "canary-50"),
        ("slow_close:all:2s@canary-50", "slow_close", "all", 2.0, "canary-50"),
        ("down:all:500ms@canary-50", "down", "all", 0.5, "canary-50"),
    ],
)
def test_the_documented_forms_are_understood(text: str, kind: str, target: str, amount: float, phase: str) -> None:
    """Each form of the issue is read."""
    (spec,) = parse_faults([text])
    assert (spec.kind, spec.target, spec.amount, spec.phase, spec.text) == (kind, target, amount, phase, text)


def test_every_example_is_valid() -> None:
    """What the messages recommend can be written."""
    assert len(parse_faults(form.example for form in FORMS.values())) == len(FORMS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latencey:candidate:2s@canary-25", "unknown kind 'latencey'"),
        ("latency:candidate:2s", "it names no phase"),
        ("latency:candidate@canary-25", "it needs one amount; write it as latency:candidate:2s@canary-25"),
        ("latency:candidate:fast@canary-25", "'fast' is no duration"),
        ("drop:all:1.5@canary-25", "1.5 is no share"),
        ("drop:all:nan@canary-25", "nan is no share"),
        ("stall:candidate:2s@canary-25", "it takes no amount"),
        ("kill:candidate@canary-25", "'candidate' is no target of kill; there are gateway, daemon, fleet"),
        ("lose:candidate:0@canary-25", "0 is no count"),
        ("bandwidth:all:200@canary-25", "'200' is no rate; write 200mbit, 64kbit or 1.5gbit"),
        ("bandwidth:all:0mbit@canary-25", "'0mbit' is no rate"),
        ("bandwidth:all:-1mbit@canary-25", "'-1mbit' is no rate"),
        ("down:candidate:1s@canary-25", "'candidate' is no target of down; there are all"),
        ("stall:candidate@canary-26", "the plan has no phase 'canary-26'"),
        ("", "unknown kind ''"),
    ],
)
def test_a_wrong_form_is_told_what_is_right(text: str, says: str) -> None:
    """Each mistake gets a message that helps."""
    with pytest.raises(WrongFault, match=says):
        parse_faults([text], phases=["canary-25", "canary-50"])


def test_all_problems_come_at_once() -> None:
    """Nobody has to fix faults one by one."""
    with pytest.raises(WrongFault) as caught:
        parse_faults(["drop:nobody:2@nowhere", "what"], phases=["canary-25"])
    assert len(caught.value.problems) == 4
