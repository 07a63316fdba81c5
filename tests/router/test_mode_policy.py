"""Network modes in the selector and in decisions: by mode, by component, forced by hand, kept among comments."""

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router import (
    ForcedMode,
    Route,
    Runtimes,
    Selector,
    SelectorInvalid,
    decide,
    explain,
    format_selector,
    parse_selector,
)
from agt.router._selector_comments import amended
from agt.router.modes import Mode
from agt.router.schemas import selector_schema

NAMES = Runtimes(control="v1", candidate="v3")
NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.UTC)
BEFORE, AFTER = NOON.timestamp() - 1, NOON.timestamp()
COMPONENTS = {"transport": True, "compression": True}
FILE = """\
# Ask ana before you touch this.
[runtimes]
control = "v1"
candidate = "v3"

[runtime]
v3_enabled = true
percentage = 100.0

[components]
transport = true
compression = true

[modes]
internet = false   # the way is too long

[modes.hybrid]     # until the codec is mended
compression = false   # 4711
transport = true

[forced_mode]      # the link to the second site is being mended
mode = "hybrid"    # it is
owner = "ana"
"""


def selector(modes: dict[str, Any], forced: ForcedMode | None = None) -> Selector:
    """Everything is on the candidate, but for modes."""
    route = Route(enabled=True, percentage=100.0)
    return Selector(runtimes=NAMES, runtime=route, components=COMPONENTS, modes=modes, forced_mode=forced)


@pytest.mark.parametrize(
    ("modes", "mode", "component", "reason"),
    [
        ({"internet": False}, "internet", None, "network mode internet is kept on v1"),
        ({"internet": False}, "internet", "transport", "network mode internet is kept on v1"),
        ({"internet": False}, "hybrid", "transport", ""),
        ({"internet": {"compression": False}}, "internet", "compression",
         "network mode internet is kept on v1 for component compression"),
        ({"internet": {"compression": False}}, "internet", "transport", ""),
        ({"internet": {"compression": False}}, "internet", None, ""),
        ({"internet": {"compression": False}}, "hybrid", "compression", ""),
        ({"internet": {"compression": True}}, "internet", "compression", ""),
        ({"internet": False}, None, None, ""),
        ({"unknown": False}, None, None, "network mode unknown is kept on v1"),
        ({"unknown": {"compression": False}}, None, "compression",
         "network mode unknown is kept on v1 for component compression"),
        ({"unknown": False}, "datacenter", None, ""),
    ],
)  # fmt: skip
def test_a_mode_vetoes_for_all_or_for_a_component(
    modes: dict[str, Any], mode: str | None, component: str | None, reason: str
) -> None:
    """A veto only takes back to control, for those that it names, and an unknown mode vetoes nothing unless asked."""
    decision = decide(selector(modes), "lamp-1", mode=mode, component=component)
    if reason:
        assert (decision.runtime, decision.rule, decision.reason) == ("v1", "mode", reason)
    else:
        assert (decision.runtime, decision.rule) == ("v3", "percentage")


@pytest.mark.parametrize(
    ("forced", "measured", "now", "runtime", "says"),
    [
        (ForcedMode(mode="internet", owner="ana"), "datacenter", AFTER, "v1",
         "network mode internet is kept on v1, forced by ana"),
        (ForcedMode(mode="internet", owner="ana", reason="drill"), None, AFTER, "v1",
         "network mode internet is kept on v1, forced by ana: drill"),
        (ForcedMode(mode="hybrid", owner="ana"), "internet", AFTER, "v3",
         "network mode hybrid is allowed, forced by ana"),
        (ForcedMode(mode="hybrid", owner="ana", expires=NOON), "internet", BEFORE, "v3",
         "network mode hybrid is allowed, forced by ana"),
        (ForcedMode(mode="hybrid", owner="ana", expires=NOON), "internet", AFTER, "v1",
         "network mode internet is kept on v1"),
    ],
)  # fmt: skip
def test_a_forced_mode_counts_instead_of_the_measured_one(
    forced: ForcedMode, measured: str | None, now: float, runtime: str, says: str
) -> None:
    """By name, with its reason, and no longer than it was meant; the explanation says so."""
    explained = explain(selector({"internet": False}, forced), "lamp-1", mode=measured, now=now)
    link = next(link for link in explained.chain if link.rule == "mode")
    assert (explained.runtime, link.says) == (runtime, says)


def test_a_file_says_it_in_either_form() -> None:
    """A table of its own, an inline one, and a plain false are all read."""
    read = parse_selector(FILE)
    assert read.modes == {"internet": False, "hybrid": {"compression": False, "transport": True}}
    assert read.forced_mode == ForcedMode(mode="hybrid", owner="ana")
    inline = FILE.replace("[modes.hybrid]     # until the codec is mended\n", "").replace(
        "compression = false   # 4711\ntransport = true\n", "hybrid = { compression = false, transport = true }\n"
    )
    assert parse_selector(inline) == read


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[modes.hybrid] ", "[modes.hybird] ", "modes.hybird: unknown mode; did you mean hybrid?"),
        ("compression = false ", "compresion = false ",
         "modes.hybrid.compresion: [components] has no such component; did you mean compression?"),
        ("compression = false ", "compression = 3 ", "modes.hybrid.compression: expected `bool`, got `int`"),
        ("internet = false", "internet = 3", "modes.internet: expected `bool`, got `int`"),
        ('mode = "hybrid"', 'mode = "unknown"', "forced_mode.mode: invalid enum value 'unknown'"),
        ('owner = "ana"', 'ower = "ana"', "forced_mode.ower: unknown key; did you mean owner?"),
        ('owner = "ana"', "", "forced_mode.owner: is missing"),
        ('owner = "ana"', 'owner = "ana"\nexpires = 2026-01-01T00:00:00', "forced_mode.expires: needs an offset"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_are(old: str, new: str, says: str) -> None:
    """Each names its key and what to write."""
    assert old in FILE
    with pytest.raises(SelectorInvalid) as raised:
        parse_selector(FILE.replace(old, new, 1))
    assert says in str(raised.value)


def test_comments_around_modes_stay() -> None:
    """Changing one component in one mode, and who forces which, leaves every word in its place."""
    read = parse_selector(FILE)
    modes = {"internet": True, "hybrid": {"compression": False, "transport": False}}
    after = Selector(
        runtimes=read.runtimes,
        runtime=read.runtime,
        components=read.components,
        modes=modes,
        forced_mode=ForcedMode(mode="internet", owner="bo", reason="drill"),
    )
    text = amended(FILE, after)
    assert parse_selector(text) == after
    for comment in ("# Ask ana", "# the way is too long", "# until the codec is mended", "# 4711", "# it is"):
        assert comment in text
    assert "# Ask ana" in amended(text, read)


def test_a_forced_mode_is_added_and_taken_away_among_comments() -> None:
    """`agt set mode` writes a table, `auto` takes it away again."""
    without = FILE[: FILE.index("[forced_mode]")]
    read = parse_selector(without)
    forced = ForcedMode(mode="internet", owner="bo", expires=NOON)
    after = Selector(
        runtimes=read.runtimes, runtime=read.runtime, components=read.components, modes=read.modes, forced_mode=forced
    )
    text = amended(without, after)
    assert parse_selector(text) == after
    assert "# 4711" in text
    assert "forced_mode" not in amended(text, read)


policies = st.booleans() | st.dictionaries(st.sampled_from(sorted(COMPONENTS)), st.booleans(), max_size=2)
forced_modes = st.none() | st.builds(
    ForcedMode,
    mode=st.sampled_from(["datacenter", "hybrid", "internet"]),
    owner=st.text("ab#", min_size=1, max_size=3),
    reason=st.text("ab# ", max_size=3),
    expires=st.none() | st.just(NOON),
)
chosen = st.builds(
    selector, st.dictionaries(st.sampled_from([mode.value for mode in Mode]), policies, max_size=4), forced_modes
)


@settings(deadline=None)  # The first example pays for loading tomlkit.
@given(one=chosen, other=chosen)
def test_any_policy_survives_its_text_and_any_change_of_it(one: Selector, other: Selector) -> None:
    """Writing then reading is the identity, and so is changing a file with comments from one to the other."""
    text = format_selector(one)
    assert parse_selector(text) == one
    assert parse_selector(amended(f"# by hand\n{text}", other)) == other


@given(
    chosen=chosen,
    mode=st.sampled_from([None, "datacenter", "hybrid", "internet"]),
    component=st.sampled_from([None, "transport", "compression"]),
    now=st.sampled_from([BEFORE, AFTER]),
)
def test_a_mode_only_ever_takes_back(chosen: Selector, mode: str | None, component: str | None, now: float) -> None:
    """Whatever the policy: with it a device is where it is without, or on control."""
    with_modes = decide(chosen, "lamp-1", mode=mode, component=component, now=now)
    without = decide(selector({}), "lamp-1", component=component, now=now)
    assert with_modes.runtime in (without.runtime, "v1")


def test_the_schema_knows_both_forms() -> None:
    """Editors are told that a mode is a flag or a table of flags."""
    schema = selector_schema()
    policy = schema["$defs"]["Selector"]["properties"]["modes"]["additionalProperties"]
    assert {one["type"] for one in policy["anyOf"]} == {"boolean", "object"}
    assert set(schema["$defs"]["ForcedMode"]["required"]) == {"mode", "owner"}
