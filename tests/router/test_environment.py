"""Variables over the selector: they lower, they kill, they never make a route bolder than its file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router import Meaning, Route, Runtimes, Selector, overlay, parse_env_file

NAMES = Runtimes(control="legacy", candidate="reliable")


def selector(percentage: float | None = 25.0, **route: object) -> Selector:
    """A selector that knows a variable of each meaning."""
    return Selector(
        runtimes=NAMES,
        runtime=Route(enabled=True, percentage=percentage, **route),
        environment={
            "TESTOPS_V3_ENABLE": Meaning.FRACTION,
            "V2_ENABLED": Meaning.KILL_SWITCH_WHEN_FALSE,
            "PANIC": Meaning.KILL_SWITCH,
        },
    )


@pytest.mark.parametrize(
    ("environment", "percentage"),
    [
        ({}, 25.0),
        ({"CANARY_PERCENTAGE": "5"}, 5.0),
        ({"CANARY_PERCENTAGE": "0"}, 0.0),
        ({"CANARY_PERCENTAGE": "50"}, 25.0),
        ({"CANARY_PERCENTAGE": ""}, 25.0),
        ({"TESTOPS_V3_ENABLE": "0.1"}, 10.0),
        ({"TESTOPS_V3_ENABLE": "0.1", "CANARY_PERCENTAGE": "3"}, 3.0),
        ({"CANARY_PERCENTAGE": "12.349"}, 12.34),
        ({"V2_ENABLED": "false"}, 0.0),
        ({"V2_ENABLED": "true"}, 25.0),
        ({"PANIC": "1"}, 0.0),
        ({"PANIC": "0"}, 25.0),
        ({"CANARY_COHORT": "a, b"}, 0.0),
        ({"UNKNOWN": "0"}, 25.0),
    ],
)
def test_each_meaning_lowers_or_leaves(environment: dict[str, str], percentage: float) -> None:
    """The most careful one wins, the file included."""
    assert overlay(selector(), environment).selector.percentage == percentage


def test_variable_sets_what_the_file_leaves_open() -> None:
    """Document 000 knows nothing but its variable."""
    overlaid = overlay(selector(None), {"TESTOPS_V3_ENABLE": "0.2"})
    assert overlaid.selector.percentage == 20.0
    assert overlaid.because("percentage") == " (TESTOPS_V3_ENABLE=0.2)"


def test_zero_takes_back_even_a_candidate_by_default() -> None:
    """After the cut-over a variable of 0 still sends everything to control."""
    overlaid = overlay(selector(None, default="reliable"), {"CANARY_PERCENTAGE": "0"})
    assert not overlaid.selector.default_is_candidate
    assert overlaid.selector.percentage == 0.0


def test_cohort_names_replace_the_percentage() -> None:
    """`CANARY_COHORT` lists who is on the candidate, and nobody else is."""
    overlaid = overlay(selector(cohort=("x",)), {"CANARY_COHORT": "a,b, ,"})
    assert overlaid.selector.runtime.cohort == ("a", "b")
    assert overlaid.selector.runtime.percentage == 0.0


@pytest.mark.parametrize(("value", "shadow"), [("true", "candidate"), ("off", "off"), ("maybe", "off")])
def test_dark_launch_turns_the_shadow_on_and_off(value: str, shadow: str) -> None:
    """`DARK_LAUNCH` of document 004's earlier stages; what can't be read mirrors nothing."""
    assert overlay(selector(), {"DARK_LAUNCH": value}).selector.runtime.shadow == shadow


@pytest.mark.parametrize(
    ("name", "value"),
    [("CANARY_PERCENTAGE", "ten"), ("CANARY_PERCENTAGE", "101"), ("CANARY_PERCENTAGE", "nan"), ("V2_ENABLED", "ja")],
)
def test_value_that_cannot_be_read_is_careful_and_named(name: str, value: str) -> None:
    """A typing mistake never sends a device to the candidate."""
    overlaid = overlay(selector(), {name: value})
    assert overlaid.selector.percentage == 0.0
    assert [problem.key for problem in overlaid.problems] == [name]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"CANARY_PERCENTAGE": "5"}, "percentage 25 -> 5 (CANARY_PERCENTAGE=5)"),
        ({"CANARY_PERCENTAGE": "50"}, "CANARY_PERCENTAGE=50 changes nothing: percentage is 25"),
        ({"V2_ENABLED": "false"}, "kill_switch false -> true (V2_ENABLED=false)"),
        ({"DARK_LAUNCH": "true"}, "shadow off -> candidate (DARK_LAUNCH=true)"),
        ({"CANARY_COHORT": "a,b"}, "cohort nobody, and 25 % -> a, b (CANARY_COHORT=a,b)"),
        ({"UNKNOWN": "0", "CANARY_COHORT": " "}, ""),
    ],
)
def test_each_switch_says_what_it_overrides(environment: dict[str, str], says: str) -> None:
    """What `agt status` shows; what isn't known or empty isn't a switch."""
    switches = overlay(selector(), environment).switches
    assert [switch.says for switch in switches] == ([says] if says else [])
    assert all(switch.overrides == ("->" in says) for switch in switches)


@pytest.mark.parametrize(
    ("candidate", "environment", "percentage"),
    [
        ("v2", {"V2_ENABLED": "false"}, 0.0),
        ("v2", {"V2_ENABLED": "true"}, 25.0),
        ("v5", {"V2_ENABLED": "false"}, 25.0),
        ("new-path", {"NEW_PATH_ENABLED": "off"}, 0.0),
        ("v3", {"TESTOPS_V3_ENABLE": "0.1"}, 10.0),
        ("v3", {"TESTOPS_V3_ENABLE": "0"}, 0.0),
    ],
)
def test_switches_of_the_documents_need_not_be_named(
    candidate: str, environment: dict[str, str], percentage: float
) -> None:
    """Documents 000 and 003 as they stand; 003's carries the candidate's name."""
    plain = Selector(
        runtimes=Runtimes(control="old", candidate=candidate), runtime=Route(enabled=True, percentage=25.0)
    )
    assert overlay(plain, environment).selector.percentage == percentage


@given(st.dictionaries(st.sampled_from(["CANARY_PERCENTAGE", "TESTOPS_V3_ENABLE", "V2_ENABLED", "PANIC"]), st.text()))
def test_no_environment_makes_a_route_bolder(environment: dict[str, str]) -> None:
    """Whatever stands in the variables, the file's percentage is the most there is."""
    assert overlay(selector(), environment).selector.percentage <= 25.0


def test_env_file_is_read_as_systemd_does() -> None:
    """Comments, quotes and `export` are understood."""
    text = "# a comment\nCANARY_PERCENTAGE=5\n\nexport DARK_LAUNCH='true'\nCANARY_COHORT=\"a,b\"\n; also\nEMPTY=\n"
    assert parse_env_file(text) == {
        "CANARY_PERCENTAGE": "5",
        "DARK_LAUNCH": "true",
        "CANARY_COHORT": "a,b",
        "EMPTY": "",
    }


@pytest.mark.parametrize("text", ["CANARY_PERCENTAGE", "A=1\n=2", "A B=1"])
def test_half_written_env_file_is_refused_whole(text: str) -> None:
    """The line is named, and nothing of the file counts."""
    with pytest.raises(ValueError, match=r"line \d is not NAME=value"):
        parse_env_file(text)
