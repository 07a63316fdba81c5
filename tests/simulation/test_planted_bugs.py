"""Every promise has planted bugs, and the suite catches each of them for what it does.

A checker that has never failed proves nothing. The bugs are in `tests/support/mutants_*.py`.
"""

from pathlib import Path

import pytest

from support.mutant_registry import CHECKS, MUTANTS, with_table
from support.mutants import PROMISES, Check, Mutant

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "testing.md"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check fails, and says what the bug breaks."""
    mutant.plant(monkeypatch)
    with pytest.raises(AssertionError) as caught:
        mutant.check.run()
    assert mutant.breaks in str(caught.value)


@pytest.mark.parametrize(
    "check", [check for check in CHECKS.values() if not check.shown_elsewhere], ids=lambda check: check.name
)
def test_a_check_passes_without_a_bug(check: Check) -> None:
    """What fails anyway catches nothing."""
    check.run()


def test_every_promise_has_a_planted_bug_that_is_caught() -> None:
    """A promise that no bug can break is a promise that nobody holds."""
    assert {mutant.promise for mutant in MUTANTS} == set(PROMISES)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.says.endswith(".") for mutant in MUTANTS), "each bug says what is wrong"


def test_the_guide_lists_what_is_planted() -> None:
    """Whoever reads the guide sees the bugs that the suite catches today."""
    text = GUIDE.read_text(encoding="utf-8")
    assert text == with_table(text), "run: python scripts/promises.py"
