"""Positions: the golden vectors that no release may change, and what a percentage means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router import moves_at, position
from agt.router._hash import fmix32, fnv1a_32
from agt.router._position import POSITION_VERSION, percentage_hundredths, position_hundredths


@pytest.mark.parametrize(("text", "value"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_hash_is_fnv_1a_32(text: str, value: int) -> None:
    """The known values of docs/reference/facts.md, 4."""
    assert fnv1a_32(text.encode()) == value


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0x514E28B7), (0xFFFFFFFF, 0x81F16F39)])
def test_mixer_is_murmurs_finaliser(before: int, after: int) -> None:
    """Published values of fmix32."""
    assert fmix32(before) == after


@pytest.mark.parametrize(
    ("device", "salt", "where"),
    [
        ("", "", 61.62),
        ("a", "", 20.22),
        ("foobar", "", 20.57),
        ("session-alpha", "", 30.82),
        ("Wohnzimmer-ß", "", 34.32),
        ("a", "autumn", 62.62),
        ("foobar", "autumn", 10.68),
    ],
)
def test_golden_positions_never_change(device: str, salt: str, where: float) -> None:
    """Version 1 of the rule: a release that changes one of these re-buckets devices."""
    assert POSITION_VERSION == 1
    assert position(device, salt) == where


@given(st.text(), st.integers(0, 100))
def test_whole_percentages_are_the_documents_rule(device: str, percentage: int) -> None:
    """`hash % 100 < percentage`, as document 002 writes it."""
    documented = fnv1a_32(device.encode("utf-8", "surrogatepass")) % 100 < percentage
    assert (position(device) < percentage) == documented


@given(st.text(), st.text(max_size=8))
def test_device_moves_exactly_at_its_own_percentage(device: str, salt: str) -> None:
    """One step below it is out, at it it is in."""
    at = percentage_hundredths(moves_at(device, salt))
    assert position_hundredths(device, salt) < at
    assert not position_hundredths(device, salt) < at - 1
    assert 0.01 <= moves_at(device, salt) <= 100


def test_salted_rollouts_pick_different_devices() -> None:
    """Two 10 % cohorts of 10,000 sequential names overlap by about 10 %, each of them about 10 % large."""
    names = [f"device-{number}" for number in range(10_000)]
    first = {name for name in names if position(name, "one") < 10}
    second = {name for name in names if position(name, "two") < 10}
    assert 900 < len(first) < 1100
    assert 900 < len(second) < 1100
    assert 0.07 < len(first & second) / len(first) < 0.13
