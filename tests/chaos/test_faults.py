"""The faults one by one: what each makes of a frame."""

from random import Random

import pytest

from agt.chaos.faults import FAULTS, Fault, Passage, make_fault

FIELDS: dict[str, dict[str, float]] = {
    "bandwidth": {"bits_per_s": 1e6},
    "jitter": {"spread_s": 0.5},
    "latency": {"delay_s": 0.5},
    "limit": {"after_bytes": 4},
    "slow_close": {"delay_s": 0.5},
}


def struck_by(fault: Fault, frame: bytes = b"0123456789", seed: int = 1) -> Passage:
    """Let a fault act on one frame."""
    passage = Passage([frame])
    fault.act(passage, Random(seed))
    return passage


def test_latency_adds_to_what_other_faults_added() -> None:
    """Two latencies on one frame sum up."""
    passage = struck_by(make_fault("latency", delay_s=0.5))
    make_fault("latency", delay_s=0.25).act(passage, Random(1))
    assert passage.delay_s == 0.75
    assert passage.copies == [b"0123456789"]


def test_jitter_stays_below_its_spread() -> None:
    """Drawn delays lie between zero and the limit, and differ."""
    drawn = [struck_by(make_fault("jitter", spread_s=0.5), seed=seed).delay_s for seed in range(50)]
    assert all(0 <= delay <= 0.5 for delay in drawn)
    assert len(set(drawn)) > 40


def test_drop_leaves_nothing_and_duplicate_doubles() -> None:
    """Dropping and doubling change how many copies there are."""
    assert struck_by(make_fault("drop")).copies == []
    assert struck_by(make_fault("duplicate")).copies == [b"0123456789"] * 2


def test_corrupt_changes_one_byte_behind_the_header() -> None:
    """The length field stays readable and the size stays the same."""
    for seed in range(100):
        (damaged,) = struck_by(make_fault("corrupt"), seed=seed).copies
        changed = [at for at, (was, now) in enumerate(zip(b"0123456789", damaged, strict=True)) if was != now]
        assert len(changed) == 1
        assert changed[0] >= 5


def test_corrupt_leaves_a_bare_header_alone() -> None:
    """A frame without anything behind its header passes unharmed."""
    assert struck_by(make_fault("corrupt"), b"\xd3\0\0\0\0").copies == [b"\xd3\0\0\0\0"]


def test_standing_faults_speak_about_the_connection() -> None:
    """These say so, the others don't."""
    assert {kind for kind, fault in FAULTS.items() if fault.standing} == {"stall", "cut", "down", "slow_close"}
    assert struck_by(make_fault("stall")).stalled
    assert struck_by(make_fault("down")).refused
    assert struck_by(make_fault("slow_close", delay_s=2.0)).linger_s == 2.0
    assert struck_by(make_fault("cut")).severed
    assert struck_by(make_fault("reset")).severed


def test_the_same_seed_draws_the_same_harm() -> None:
    """Every fault takes its randomness from the generator that it is given, and from nowhere else."""
    for kind in FAULTS:
        fault = make_fault(kind, **FIELDS.get(kind, {}))
        assert struck_by(fault, seed=7) == struck_by(fault, seed=7)


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("latencey", {}, "unknown fault 'latencey'; there are bandwidth, corrupt, cut, down, drop"),
        ("drop", {"often": 1.0}, "fault 'drop' has no field often; it has none"),
        ("latency", {}, "fault 'latency' needs all of delay_s"),
        ("bandwidth", {"bits_per_s": 0.0}, "needs bits_per_s above 0, not 0; 'stall' is for 0"),
    ],
)
def test_a_wrong_name_or_field_is_told_what_there_is(kind: str, fields: dict[str, float], says: str) -> None:
    """Mistakes in a scenario file get one clear message."""
    with pytest.raises(ValueError, match=says):
        make_fault(kind, **fields)
