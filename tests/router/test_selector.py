"""The selector's text: every key, every mistake, and texts that nobody meant."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router import (
    Meaning,
    Override,
    Route,
    Runtimes,
    Selector,
    SelectorInvalid,
    format_selector,
    parse_selector,
)

FULL = """
generation = 7
[runtimes]
control = "v4"
candidate = "v5"
[runtime]
default_daemon = "v4"
v5_enabled = true
v5_canary_sessions = ["session-alpha", "session-beta"]
percentage = 10.0
salt = "autumn"
shadow = "candidate"
shadow_percent = 50
pin_live_sessions = true
kill_switch = false
legacy_listener = "warn"
[components]
transport = true
compression = false
[modes]
internet = false
[environment]
TESTOPS_V3_ENABLE = "fraction"
V2_ENABLED = "kill_switch_when_false"
CANARY_PERCENTAGE = "percentage"
[[overrides]]
device = "lamp-7"
runtime = "v4"
owner = "ana"
reason = "flickers"
expires = 2026-12-01T00:00:00Z
"""


def test_every_key_is_read() -> None:
    """The whole file of docs/design.md section 4, and what came to it."""
    selector = parse_selector(FULL)
    assert selector.generation == 7
    assert selector.runtimes == Runtimes(control="v4", candidate="v5")
    route = selector.runtime
    assert (route.enabled, route.cohort, route.percentage) == (True, ("session-alpha", "session-beta"), 10.0)
    assert (route.shadow, route.shadow_percent, route.salt, route.legacy_listener) == (
        "candidate",
        50.0,
        "autumn",
        "warn",
    )
    assert route.pin_live_sessions
    assert selector.components == {"transport": True, "compression": False}
    assert selector.modes == {"internet": False}
    assert selector.environment["V2_ENABLED"] is Meaning.KILL_SWITCH_WHEN_FALSE
    assert selector.overrides[0].owner == "ana"
    assert selector.overrides[0].expires is not None


def test_what_is_written_reads_the_same() -> None:
    """Formatting a full selector loses nothing."""
    selector = parse_selector(FULL)
    assert parse_selector(format_selector(selector)) == selector
    assert "v5_enabled = true" in format_selector(selector)


def test_document_001_has_no_names_and_is_read_with_those_given() -> None:
    """Its TOML as written, once the router's own names stand in for `[runtimes]`."""
    text = '[runtime]\ndefault_daemon = "v5"\nv5_enabled = true\n'
    selector = parse_selector(text, runtimes=Runtimes(control="v4", candidate="v5"))
    assert selector.default_is_candidate
    with pytest.raises(SelectorInvalid, match=r"runtimes: is missing: write \[runtimes\]"):
        parse_selector(text)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("percentage = 10.0", "percentag = 10.0", "runtime.percentag: unknown key; did you mean percentage?"),
        ("v5_enabled", "v4_enabled", "runtime.v4_enabled: unknown key; did you mean v5_enabled?"),
        ("[modes]", "[mode]", "mode: unknown key; did you mean modes?"),
        ("internet = false", "internett = false", "modes.internett: unknown mode; did you mean internet?"),
        ("percentage = 10.0", "percentage = 101", "runtime.percentage: expected `float` <= 100.0"),
        ("percentage = 10.0", "percentage = nan", "runtime.percentage: expected `float` >= 0.0"),
        ("percentage = 10.0", "percentage = 10.001", "runtime.percentage: 10.001 is finer than the steps of 0.01"),
        ("percentage = 10.0", 'percentage = "ten"', "runtime.percentage: expected `float | null`, got `str`"),
        ('default_daemon = "v4"', 'default_daemon = "v5"', "runtime.percentage: contradicts default_daemon"),
        ('default_daemon = "v4"', 'default_daemon = "v6"', "runtime.default_daemon: unknown runtime 'v6'"),
        ('control = "v4"', 'control = "v5"', "runtimes.candidate: is the control's name too"),
        (
            '"fraction"',
            '"fractoin"',
            "environment.TESTOPS_V3_ENABLE: unknown meaning 'fractoin'; did you mean fraction?",
        ),
        ('runtime = "v4"\nowner', 'runtime = "v7"\nowner', "overrides[0].runtime: unknown runtime 'v7'"),
        ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00", "overrides[0].expires: needs an offset"),
        ('owner = "ana"', "", "overrides[0].owner: is missing"),
        ("transport = true", "transport = 1", "components.transport: expected `bool`, got `int`"),
        ("generation = 7", "generation = -1", "generation: expected `int` >= 0"),
        ('shadow = "candidate"', 'shadow = "on"', "runtime.shadow: invalid enum value 'on'"),
        (
            "v5_enabled = true",
            "v5_enabled = true\ncandidate_enabled = true",
            "runtime.candidate_enabled: is given twice, also as runtime.v5_enabled",
        ),
        ("[runtimes]", "[runtimes", "is not TOML"),
    ],
)
def test_each_mistake_is_named_where_it_is(old: str, new: str, says: str) -> None:
    """One mistake, one problem, with its key path and what to write instead."""
    assert old in FULL
    with pytest.raises(SelectorInvalid) as raised:
        parse_selector(FULL.replace(old, new, 1))
    assert any(says in str(problem) for problem in raised.value.problems), raised.value


V1_TO_V3 = '[runtimes]\ncontrol = "v1"\ncandidate = "v3"\n'
DOCUMENT_002 = """
[flags]
EnableV3Transport = true
EnableV3Compression = true
EnableV3Prediction = false
EnableV3StateSync = true
EnableV3Consensus = false
EnableV3Placement = false
V3RolloutPercentage = 50
ForceV1Mode = false
"""


def test_document_002s_flags_are_read_as_they_stand_there() -> None:
    """The whole struct; its percentage alone enables the candidate, since the document has no other switch."""
    selector = parse_selector(V1_TO_V3 + DOCUMENT_002)
    assert (selector.percentage, selector.runtime.enabled, selector.runtime.kill_switch) == (50.0, True, False)
    on = {name for name, flag in selector.components.items() if flag}
    assert on == {"transport", "compression", "state_sync"}
    assert len(selector.components) == 6
    assert (
        parse_selector((V1_TO_V3 + DOCUMENT_002).replace("ForceV1Mode = false", "ForceV1Mode = true")).percentage == 0
    )


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("force_v1_mode = true", "kill_switch", True),
        ("ForceLegacyMode = true", "kill_switch", True),
        ("v3_rollout_percentage = 25", "percentage", 25.0),
        ("ReliableRolloutPercentage = 25", "percentage", 25.0),
        ("enable_v3_state_sync = true", "components", {"state_sync": True}),
        ("enable_reliable_state_sync = true", "components", {"state_sync": True}),
        ("EnableReliableTransport = true", "components", {"transport": True}),
        ("reliable_enabled = true", "enabled", True),
        ('reliable_canary_sessions = ["a"]', "cohort", ("a",)),
    ],
)
def test_keys_have_their_documents_names(line: str, key: str, value: object) -> None:
    """As the documents spell them, with their own version numbers or with the names of the runtimes."""
    selector = parse_selector(f'[runtimes]\ncontrol = "legacy"\ncandidate = "reliable"\n[runtime]\n{line}\n')
    found = getattr(selector, key) if key == "components" else getattr(selector.runtime, key)
    assert found == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[flags]\nV3RolloutPercentag = 10",
         "flags.V3RolloutPercentag: unknown flag; did you mean V3RolloutPercentage?"),
        ("[flags]\nV3RolloutPercentage = 1000", "flags.V3RolloutPercentage: expected `float` <= 100.0"),
        ("[flags]\nEnableV3Transport = 3", "flags.EnableV3Transport: expected `bool`, got `int`"),
        ("[runtime]\nforce_v1_mode = true\nkill_switch = false",
         "runtime.kill_switch: is given twice, also as runtime.force_v1_mode"),
        ("[components]\ntransport = true\n[flags]\nEnableV3Transport = true",
         "flags.EnableV3Transport: is given twice, also as components.transport"),
        ("[[flags]]\nForceV1Mode = true", "flags: must be a table"),
    ],
)  # fmt: skip
def test_mistakes_are_named_as_they_are_written(text: str, says: str) -> None:
    """By the name and the table that the author used."""
    with pytest.raises(SelectorInvalid) as raised:
        parse_selector(f"{V1_TO_V3}{text}\n")
    assert any(says in str(problem) for problem in raised.value.problems), raised.value


def test_all_mistakes_are_reported_at_once() -> None:
    """Shape mistakes of several tables come together, and so do contradictions."""
    with pytest.raises(SelectorInvalid) as raised:
        parse_selector(FULL.replace("percentage = 10.0", "percentag = 10").replace("transport = true", "transport = 3"))
    assert len(raised.value.problems) == 2
    with pytest.raises(SelectorInvalid) as raised:
        parse_selector(FULL.replace('default_daemon = "v4"', 'default_daemon = "v5"').replace("internet", "space"))
    assert {problem.key for problem in raised.value.problems} == {"runtime.percentage", "modes.space"}


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a = " + b"[" * 5000, b"#" * ((1 << 20) + 1), b"", b"runtime = 3"])
def test_what_is_no_selector_is_refused_in_words(text: bytes) -> None:
    """Never anything but `SelectorInvalid`, whatever the bytes are."""
    with pytest.raises(SelectorInvalid):
        parse_selector(text)


def test_mutated_files_never_crash() -> None:
    """Three thousand files with random edits are either selectors or refused with at least one problem."""
    rng = random.Random(4)
    refused = 0
    for _ in range(3000):
        text = list(FULL)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(text))
            edit = rng.choice(("drop", "put", "swap", "cut"))
            if edit == "drop":
                del text[place]
            elif edit == "put":
                text.insert(place, rng.choice(string.printable))
            elif edit == "swap":
                text[place] = rng.choice(string.printable)
            else:
                del text[place:]
                text.append("\n")
        try:
            selector = parse_selector("".join(text))
        except SelectorInvalid as error:
            refused += len(error.problems) > 0
        else:
            assert parse_selector(format_selector(selector)) == selector
    assert refused > 1000


names = st.text(string.ascii_letters + string.digits + "-+. ", min_size=1, max_size=12)
percentages = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


@given(
    st.builds(
        Selector,
        runtimes=st.builds(Runtimes, control=names.map("c{}".format), candidate=names.map("k{}".format)),
        generation=st.integers(0, 2**60),
        runtime=st.builds(
            Route,
            default=st.just(""),
            cohort=st.lists(st.text(), max_size=3).map(tuple),
            percentage=st.none() | percentages,
            salt=st.text(max_size=8),
            shadow=st.sampled_from(["off", "candidate", "control"]),
            shadow_percent=percentages,
            legacy_listener=st.sampled_from(["serve", "warn", "refuse"]),
        ),
        components=st.dictionaries(names, st.booleans(), max_size=3),
        overrides=st.just(()),
        modes=st.just({}),
    )
)
def test_any_selector_survives_its_text(selector: Selector) -> None:
    """Format then parse is the identity, whatever the names are."""
    assert parse_selector(format_selector(selector)) == selector


def test_overrides_of_one_device_are_refused() -> None:
    """Two overrides for one device would leave open which one counts."""
    with pytest.raises(SelectorInvalid, match="lamp-7 has an override already"):
        parse_selector(FULL + '[[overrides]]\ndevice = "lamp-7"\nruntime = "v5"\nowner = "bo"\n')
    assert Override(device="a", runtime="v4", owner="ana").expires is None
