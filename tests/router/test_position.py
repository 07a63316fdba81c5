"""Positions: the golden vectors that no release may change, and what a percentage means."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router import moves_at, position
from agt.router._hash import fmix32, fnv1a_32
from agt.router._position import POSITION_VERSION, order, percentage_hundredths, place, position_hundredths


@pytest.mark.parametrize(("text", "value"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_hash_is_fnv_1a_32(text: str, value: int) -> None:
    """The known values of docs/reference/facts.md, 4."""
    assert fnv1a_32(text.encode()) == value


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0x514E28B7), (0xFFFFFFFF, 0x81F16F39)])
def test_mixer_is_murmurs_finaliser(before: int, after: int) -> None:
    """Published values of fmix32."""
    assert fmix32(before) == after


VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "position-vectors.json").read_text("utf-8"))
IF_THIS_FAILS = (
    "positions are not those of docs/reference/position-vectors.json: a release with this would move devices between "
    "runtimes all by itself. If you did not mean to change the rule, undo that. If you did: raise POSITION_VERSION, "
    "add the new vectors beside the old, let the selector name the version that a rollout began with, and say so in "
    "the changelog"
)


def test_vectors_are_of_the_rule_that_is_built_in() -> None:
    """A change of the rule without new vectors, or of the vectors without a new version, is seen here."""
    assert VECTORS["version"] == POSITION_VERSION == 1, IF_THIS_FAILS
    assert len(VECTORS["vectors"]) >= 40


@pytest.mark.parametrize("row", VECTORS["vectors"], ids=lambda row: f"{row['salt'] or 'plain'}:{row['device'][:16]}")
def test_golden_positions_never_change(row: dict[str, Any]) -> None:
    """Hash, position and place of one device, as written down once and for all."""
    device, salt = row["device"], row["salt"]
    hashed = fnv1a_32((salt + device).encode())
    found = (hashed, fmix32(hashed) if salt else hashed, position(device, salt), place(device, salt))
    assert found == (row["fnv1a"], row["hash"], row["position"], row["place"]), IF_THIS_FAILS


@pytest.mark.parametrize(("salt", "first"), VECTORS["first_7_of_device_0_to_9999"].items())
def test_golden_order_never_changes(salt: str, first: list[str]) -> None:
    """The first seven of ten thousand, one by one."""
    names = sorted((f"device-{number}" for number in range(10_000)), key=lambda name: order(name, salt))
    assert names[:7] == first, IF_THIS_FAILS


def test_another_process_finds_the_same_positions() -> None:
    """A restart changes nobody: no seed of the interpreter's own hash gets in."""
    names = [f"device-{number}" for number in range(500)]
    script = (
        "import json, sys; from agt.router._position import place\n"
        "names = json.load(sys.stdin)\n"
        "print(json.dumps([place(name, salt) for salt in ('', 'x') for name in names]))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(names),
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout) == [place(name, salt) for salt in ("", "x") for name in names]


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


@given(st.lists(st.text(), min_size=1, max_size=20, unique=True), st.text(max_size=8))
def test_order_is_total_and_agrees_with_positions(devices: list[str], salt: str) -> None:
    """No two devices share a place in it, and a lower position comes first."""
    ranked = sorted(devices, key=lambda device: order(device, salt))
    assert len({order(device, salt) for device in devices}) == len(devices)
    positions = [position_hundredths(device, salt) for device in ranked]
    assert positions == sorted(positions)


NAMES = [f"device-{number}" for number in range(10_000)]
SALTS = ("one", "two", "autumn", "migration-1", "migration-2", "x", "cync-tcp", "2026-11-21")


@pytest.mark.parametrize(("first", "second"), itertools.combinations(SALTS, 2))
def test_salted_rollouts_pick_independent_devices(first: str, second: str) -> None:
    """Two 10 % cohorts of 10,000 sequential names overlap by 10 +- 3 points, and no more than chance would have it."""
    one = {name for name in NAMES if position(name, first) < 10}
    two = {name for name in NAMES if position(name, second) < 10}
    both, only_one, only_two = len(one & two), len(one - two), len(two - one)
    neither = len(NAMES) - both - only_one - only_two
    assert 7 < 100 * both / len(one) < 13
    assert 7 < 100 * both / len(two) < 13
    # Chi-square of the 2x2 table with one degree of freedom; 15.1 is p = 0.0001, for 28 pairs.
    crossed = both * neither - only_one * only_two
    chi_square = len(NAMES) * crossed**2 / (len(one) * len(two) * (len(NAMES) - len(one)) * (len(NAMES) - len(two)))
    assert chi_square < 15.1


@pytest.mark.parametrize("salt", SALTS)
def test_salted_positions_are_spread_evenly(salt: str) -> None:
    """Each of the 100 whole percents holds as many of 10,000 sequential names as chance would have it."""
    counts = Counter(position_hundredths(name, salt) // 100 for name in NAMES)
    expected = len(NAMES) / 100
    chi_square = sum((counts[percent] - expected) ** 2 / expected for percent in range(100))
    # 99 degrees of freedom: p = 0.0005 on either side, since too even would be no better.
    assert 57.0 < chi_square < 150.2
