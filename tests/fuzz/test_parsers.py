"""No input makes a parser raise what it doesn't declare, and its properties hold for all of them.

Each target (`tests/support/fuzz_*.py`) runs its corpus, then inputs that hypothesis makes: noise, and the corpus bent
and spliced. `make soak` lets atheris look at the same targets with coverage (`scripts/fuzz.py`).
"""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.fuzz_coverage import ATTACKED, SPARED, parsers
from support.fuzz_support import CORPUS, INPUT_MAX, Target
from support.fuzz_targets import TARGETS

EXAMPLES = 60
EDITS_MAX = 4

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)

Edit = tuple[str, int, bytes]


def bent(sample: bytes, edits: list[Edit]) -> bytes:
    """Change a sample in a few places: put bytes in, over, out, or say some of it twice."""
    for how, place, chunk in edits:
        at = place % (len(sample) + 1)
        if how == "insert":
            sample = sample[:at] + chunk + sample[at:]
        elif how == "replace":
            sample = sample[:at] + chunk + sample[at + len(chunk) :]
        elif how == "delete":
            sample = sample[:at] + sample[at + len(chunk) :]
        elif how == "cut":
            sample = sample[:at]
        else:
            sample += sample[at:]
    return sample[:INPUT_MAX]


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Noise, and the target's samples bent by its own tokens."""
    chunks = st.binary(max_size=8)
    if target.tokens:
        chunks = st.one_of(chunks, st.sampled_from(target.tokens))
    edit = st.tuples(
        st.sampled_from(("insert", "replace", "delete", "cut", "repeat")), st.integers(0, INPUT_MAX), chunks
    )
    of_samples = st.builds(bent, st.sampled_from(target.samples()), st.lists(edit, max_size=EDITS_MAX))
    of_tokens = st.lists(chunks, max_size=12).map(b"".join)
    return st.one_of(of_samples, of_tokens, st.binary(max_size=200))


@every_target
def test_the_corpus_shows_nothing_new(target: Target) -> None:
    """Inputs that once found something, or that show how the format looks, go through each time."""
    samples = target.samples()
    assert samples, "a target needs a sample to start from"
    for sample in samples:
        target.run(sample)


@every_target
def test_no_input_breaks_a_parser(target: Target) -> None:
    """Whatever comes is read or refused in the parser's own words."""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(target))
    @example(b"")
    def attack(data: bytes) -> None:
        target.run(data)

    attack()


def test_the_soak_finds_every_target() -> None:
    """It looks through the modules by itself, so that it need not import and instrument them all."""
    script = (CORPUS.parents[1] / "scripts" / "fuzz.py").read_text(encoding="utf-8")
    modules = {target.run.__module__ for target in TARGETS.values()}
    assert [name for name in sorted(modules) if f'"{name.rpartition(".")[2]}"' not in script] == []


def test_every_sample_belongs_to_a_target() -> None:
    """A folder without its parser is dead weight; the corpus stays small enough to read."""
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 1 << 18


def test_every_parser_is_attacked_or_says_why_not() -> None:
    """What reads bytes or text is a target; add a new parser to `tests/support/fuzz_coverage.py`."""
    assert sorted(parsers()) == sorted({*ATTACKED, *SPARED})
    assert set(ATTACKED.values()) <= set(TARGETS)
    assert not set(ATTACKED) & set(SPARED)
