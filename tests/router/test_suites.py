"""Suites: the same requests with the same seeds to both sides, and every way of getting worse."""

import json
import math
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from agt.router.parity import CommandSource, FunctionSource, Limits, ParityInvalid, Verdict, unix_source
from agt.router.regression import (
    AllowedToDiffer,
    Invariant,
    Request,
    Suite,
    SuiteResult,
    load_suite,
    parse_suite,
    run_suite,
    suite_junit,
    suite_lines,
)
from agt.router.regression._run import GIVE_UP_AFTER
from agt.router.regression._sample import seeded
from agt.router.regression._tally import EXAMPLES_MAX, percentile

FIFTY = tuple(range(1, 51))


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough here: `test_comparisons_over_http` runs suites on the other."""
    return "asyncio"


def suite(**fields: Any) -> Suite:
    """Document 003's run: 50 predictions."""
    settings: dict[str, Any] = {"requests": (Request(name="predict", body={"seed": "{seed}"}),), "seeds": FIFTY}
    return Suite(**{**settings, **fields})


def predict(body: Any, seed: int) -> dict[str, Any]:
    """Control: a score and a segment out of the seed alone."""
    assert body == {"seed": seed}
    rng = random.Random(seed)
    return {"score": rng.uniform(0.5, 1.0), "segment": rng.choice(["new", "old"]), "items": [{"price": seed}]}


def off(share: float, *, at: int = 0) -> Any:
    """A candidate whose score is off by a share, for every seed or for one."""

    def answer(body: Any, seed: int) -> dict[str, Any]:
        found = predict(body, seed)
        if at in {0, seed}:
            found["score"] *= 1 + share
        return found

    return answer


async def run(candidate: Any, control: Any = predict, *, of: Suite | None = None) -> SuiteResult:
    """Run a suite on two functions."""
    return await run_suite(of or suite(), FunctionSource(control), FunctionSource(candidate), wall=lambda: 0.0)


def verdicts(result: SuiteResult) -> dict[str, str]:
    """Every check's verdict."""
    return {check.name: str(check.verdict) for check in result.checks}


async def test_a_candidate_within_its_limits_passes() -> None:
    """Document 003: mean delta 2.3 % below 5 %, largest below 10 %, all segments equal."""
    result = await run(off(0.023))
    assert (result.verdict, result.samples) == (Verdict.PASSED, 50)
    score = next(one for one in result.fields if one.field == "score")
    assert score.mean_delta == pytest.approx(0.023)
    assert set(verdicts(result).values()) == {"passed"}
    assert result.alike == 0


async def test_a_mean_that_is_too_far_fails() -> None:
    """In the field itself: other fields that are equal don't thin it out. The limit itself is too far."""
    result = await run(off(0.06))
    assert verdicts(result)["mean delta"] == "failed"
    assert verdicts(result)["largest delta"] == "passed"
    assert "6.00% in score; must be below 5.00%" in result.reason

    def five(body: Any, seed: int) -> dict[str, Any]:
        return {"n": 105 if seed else body}

    at_the_limit = await run(five, lambda body, seed: {"n": 100 if seed else body})
    assert verdicts(at_the_limit)["mean delta"] == "failed"


async def test_one_number_that_is_too_far_fails_and_is_shown() -> None:
    """Its request, both values and the delta."""
    result = await run(off(0.12, at=17))
    assert verdicts(result)["mean delta"] == "passed"
    assert verdicts(result)["largest delta"] == "failed"
    (worst,) = result.worst
    assert (worst.request, worst.field) == ("predict, seed 17", "score")
    assert worst.delta == pytest.approx(0.12)


async def test_another_category_fails() -> None:
    """One of fifty is enough; a number where a text stood is another category too."""

    def other(body: Any, seed: int) -> dict[str, Any]:
        return {**predict(body, seed), **({"segment": "gold"} if seed == 9 else {})}

    result = await run(other)
    assert verdicts(result)["categories"] == "failed"
    assert (result.mismatched, result.mismatches[0].candidate) == (1, "gold")
    assert (await run(lambda body, seed: {**predict(body, seed), "score": "high"})).mismatched == 50


async def test_numbers_can_be_categories() -> None:
    """A cluster's id that is off by one is not near."""
    changed = suite(categories=("items.*.price",))
    one_more = lambda body, seed: {**predict(body, seed), "items": [{"price": seed + 1}]}  # noqa: E731 - a candidate.
    limits = AllowedToDiffer(mean_delta=10, max_delta=10)
    assert (await run(one_more, of=msgspec.structs.replace(changed, limits=limits))).mismatched == 50
    assert (await run(one_more, of=suite(limits=limits))).verdict is Verdict.PASSED
    assert (await run(one_more, of=suite(limits=limits, numbers=("score",)))).mismatched == 50


@pytest.mark.parametrize(
    ("control", "candidate", "delta", "passes"),
    [
        (0, 0.0, 0.0, True),
        (0, 1e-9, math.inf, False),
        (math.nan, math.nan, 0.0, True),
        (math.nan, 1.0, math.inf, False),
        (math.inf, math.inf, 0.0, True),
        (10**400, 10**400 + 1, 0.0, True),
    ],
)
async def test_numbers_without_a_share_are_defined(control: Any, candidate: Any, delta: float, passes: bool) -> None:
    """Away from 0 any step is infinite; an infinite delta is null in JSON and a word for people."""
    result = await run(lambda *_: {"n": candidate}, lambda *_: {"n": control}, of=suite(seeds=(1,)))
    assert result.fields[0].max_delta == delta
    assert (result.verdict is Verdict.PASSED) == passes
    assert msgspec.json.encode(result)
    assert ("infinite" in "\n".join(suite_lines(result))) == (delta == math.inf)


async def test_too_few_samples_show_too_little() -> None:
    """Even where all of them agree."""
    limits = AllowedToDiffer(errors=1.0)
    broken_half = lambda body, seed: predict(body, seed) if seed % 2 else 1 // 0  # noqa: E731 - a candidate.
    result = await run(broken_half, of=suite(at_least=50, limits=limits))
    assert verdicts(result)["samples"] == "inconclusive"
    assert result.samples == 25


async def test_a_candidate_that_breaks_fails_and_one_that_is_absent_is_an_error(tmp_path: Path) -> None:
    """Broken was seen, absent was not; neither is asked fifty times."""
    broken = await run_suite(suite(), FunctionSource(predict), CommandSource(("sh", "-c", "echo oh >&2; exit 3")))
    assert (verdicts(broken)["candidate answers"], broken.candidate.calls) == ("failed", GIVE_UP_AFTER)
    assert "ends with status 3: oh; given up early" in broken.reason
    absent = await run_suite(suite(), FunctionSource(predict), unix_source(str(tmp_path / "none")))
    assert (absent.verdict, absent.candidate.calls) == (Verdict.ERROR, GIVE_UP_AFTER)
    other_way = await run_suite(suite(), unix_source(str(tmp_path / "none")), FunctionSource(predict))
    assert other_way.verdict is Verdict.ERROR


async def test_slow_answers_and_nonsense_are_errors_of_the_side() -> None:
    """Time limit and JSON."""
    slow = CommandSource(("sleep", "60"), limits=Limits(timeout_s=0.02))
    result = await run_suite(suite(seeds=(1,)), FunctionSource(predict), slow)
    assert "takes longer than 0.02 s" in result.reason
    noise = await run_suite(suite(seeds=(1,)), FunctionSource(predict), CommandSource(("echo", "{")))
    assert (noise.verdict, "is no JSON" in noise.reason) == (Verdict.FAILED, True)


async def test_determinism_is_the_share_that_is_answered_alike_with_equal_seeds() -> None:
    """49 of 50 is 98 %, 48 are not; a control that varies itself is no measure."""
    limits = AllowedToDiffer(determinism=0.98)
    twice = suite(repeats=2, limits=limits, ignore=suite_rules("at"))

    def varying(*seeds: int) -> Any:
        asked: list[int] = []

        def answer(body: Any, seed: int) -> dict[str, Any]:
            asked.append(seed)
            # The second time the score is off by a little: near, but not alike.
            again = seed in seeds and asked.count(seed) > 1
            return {**predict(body, seed), "at": len(asked), **({"score": 0.75} if again else {})}

        return answer

    plain = varying()
    assert (await run(varying(7), plain, of=twice)).candidate.alike == 49
    assert (await run(varying(7), plain, of=twice)).verdict is Verdict.PASSED
    result = await run(varying(7, 8), plain, of=twice)
    assert (verdicts(result)["candidate determinism"], result.candidate.varying[0].request) == (
        "failed",
        "predict, seed 7",
    )
    assert verdicts(await run(plain, varying(7, 8), of=twice))["control determinism"] == "inconclusive"


def suite_rules(*fields: str) -> Any:
    """Rules of a suite that never end in these tests."""
    rules = [{"field": one, "owner": "ann", "reason": "clock", "expires": "2099-01-01T00:00:00Z"} for one in fields]
    return msgspec.convert({"requests": [{}], "ignore": rules}, Suite).ignore


async def test_agreement_between_the_sides_can_be_asked_for() -> None:
    """The share that is exactly alike, after what is ignored."""
    asks = suite(limits=AllowedToDiffer(agreement=0.98))
    assert (await run(off(1e-9, at=3), of=asks)).verdict is Verdict.PASSED
    assert verdicts(await run(off(1e-9), of=asks))["agreement"] == "failed"


async def test_ignored_fields_count_nowhere_and_are_counted() -> None:
    """Neither as delta nor as category, nor against determinism."""
    result = await run(off(0.5), of=suite(ignore=suite_rules("score")))
    assert (result.verdict, result.ignored, result.alike) == (Verdict.PASSED, 50, 50)


async def test_invariants_must_hold_on_both_sides() -> None:
    """Broken by the candidate: failed. By control alone: not shown to be one. Unanswerable: broken."""
    share = suite(invariants=(Invariant(name="share", check="0 <= output.score <= 1"),))
    assert (await run(predict, of=share)).verdict is Verdict.PASSED
    loose = msgspec.structs.replace(share, limits=AllowedToDiffer(mean_delta=9, max_delta=9))
    broken = await run(off(3.0, at=4), of=loose)
    assert verdicts(broken)["invariant share"] == "failed"
    assert "candidate, predict, seed 4: is false" in broken.reason
    assert verdicts(await run(predict, off(3.0, at=4), of=loose))["invariant share"] == "inconclusive"
    missing = suite(invariants=(Invariant(name="x", check="output.nothing > 0"),))
    assert "has no field 'nothing'" in (await run(predict, of=missing)).reason


async def test_invariants_can_be_commands() -> None:
    """They get request, seed and output as JSON; one that can't be run is an error."""
    looks = ("sh", "-c", 'grep -q "\\"seed\\":3" && { echo three >&2; exit 1; }; exit 0')
    result = await run(predict, of=suite(seeds=(1, 2, 3), invariants=(Invariant(name="no three", command=looks),)))
    assert verdicts(result)["invariant no three"] == "failed"
    assert "holds for 4 of 6 answers; control, predict, seed 3: ends with status 1: three" in result.reason
    absent = suite(seeds=(1,), invariants=(Invariant(name="x", command=("/no/such",)),))
    assert (await run(predict, of=absent)).verdict is Verdict.ERROR


async def test_latency_is_compared_where_it_is_asked_for() -> None:
    """By the candidate's 95th percentile, alone and beside control's."""
    fast, slow = CommandSource(("echo", "{}")), CommandSource(("sh", "-c", "sleep 0.2; echo {}"))
    limits = AllowedToDiffer(p95_s=60.0, latency_ratio=1.0)
    of = suite(seeds=(1,), limits=limits)
    assert verdicts(await run_suite(of, fast, slow))["latency beside control"] == "failed"
    good = verdicts(await run_suite(of, slow, fast))
    assert (good["p95"], good["latency beside control"]) == ("passed", "passed")
    tight = suite(seeds=(1,), limits=AllowedToDiffer(p95_s=0.001))
    assert verdicts(await run_suite(tight, fast, slow))["p95"] == "failed"


async def test_sides_take_turns_in_who_goes_first() -> None:
    """So that neither always meets the warmer cache."""
    order: list[str] = []

    def side(name: str) -> Any:
        return lambda body, seed: order.append(name) or {"n": seed}

    await run(side("new"), side("old"), of=suite(seeds=(1, 2)))
    assert order == ["old", "new", "new", "old"]


async def test_several_requests_can_be_on_their_way() -> None:
    """Each is still asked once."""
    result = await run(predict, of=suite(at_once=8))
    assert (result.samples, result.candidate.calls) == (50, 50)


async def test_examples_stay_few() -> None:
    """The largest deltas of all are kept."""
    result = await run(lambda body, seed: {**predict(body, seed), "items": [{"price": seed * (1 + seed / 1000)}]})
    assert len(result.worst) == EXAMPLES_MAX
    assert [one.request for one in result.worst[:2]] == ["predict, seed 50", "predict, seed 49"]
    assert len({one.field for one in result.fields}) == 2


def test_a_seed_gets_into_every_text() -> None:
    """Alone it is a number, inside a text it is text."""
    assert seeded({"a": ["{seed}", "x-{seed}", 1, None]}, 7) == {"a": [7, "x-7", 1, None]}


def test_percentiles_are_values_that_were_seen() -> None:
    """By the rule of facts.md."""
    assert percentile([float(number) for number in range(1, 101)], 0.95) == 95.0
    assert percentile([3.0], 0.95) == 3.0
    assert percentile([], 0.95) == 0.0


async def test_a_report_for_build_servers_has_a_case_for_each_check() -> None:
    """Failed and undecided ones are told apart."""
    result = await run(off(0.2), of=suite(at_least=50, name="no\x00regression"))
    root = ElementTree.fromstring(suite_junit(result))
    assert root.attrib["failures"] == "2"
    assert [case.attrib["name"] for case in root if case.find("failure") is not None] == ["mean delta", "largest delta"]


SUITE = """
schema = 1
name = "no-regression"
control = { command = ["./sim", "{seed}"] }
candidate = "http://127.0.0.1:8001/v2"
seed_count = 50
repeats = 2
at_least = 50
requests_file = "requests.jsonl"

[limits]
mean_delta = 0.05
determinism = 0.98

[[request]]
path = "/predict"
body = { age = 25 }

[[invariant]]
name = "share"
check = "0 <= output.score <= 1"
"""


def test_a_suite_file_is_read_with_its_requests(tmp_path: Path) -> None:
    """Those of the file, then those of the file beside it, each with a name."""
    (tmp_path / "requests.jsonl").write_text(json.dumps({"name": "old", "path": "/segment"}) + "\n{}\n")
    path = tmp_path / "suite.toml"
    path.write_text(SUITE)
    loaded = load_suite(path)
    assert [request.name for request in loaded.suite.requests] == ["request-1", "old", "request-3"]
    assert loaded.suite.seeds == FIFTY
    assert loaded.suite.calls == 300
    assert loaded.control is not None
    assert loaded.control.command == ("./sim", "{seed}")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema = 1", "schema = 2", "schema: must be 1"),
        ("at_least = 50", "atleast = 50", "atleast: unknown key; did you mean at_least?"),
        ("at_least = 50", "at_least = 51", "at_least: is more than the 50 comparisons"),
        ("repeats = 2", "repeats = 1", "limits.determinism: needs repeats = 2 or more"),
        ("repeats = 2", "repeats = 0", "repeats: expected `int` >= 1"),
        ("seed_count = 50", "seed_count = 0", "seed_count: must be a number from 1"),
        ("seed_count = 50", "seed_count = 50\nseeds = [1]", "seed_count: contradicts seeds"),
        ("0 <= output.score <= 1", "open('x')", "invariant[0].check: calls what it may not"),
        ('check = "0', 'command = ["x"]\ncheck = "0', "invariant[0]: needs either check or command"),
        ('path = "/predict"', 'name = "a\\u0007"', "request.name: must be printable"),
        ("seed_count = 50", "seeds = [1, 1]", "seeds: names a seed twice"),
        ("[[request]]", "[[requests]]", "requests: unknown key"),
        ('path = "/predict"', "path = 1", "request[0].path: expected `str`"),
        ("http://127", "htp://127", "candidate: htp://127"),
        ("mean_delta = 0.05", "mean_delta = -1", "limits.mean_delta: expected `float` >= 0"),
    ],
)
def test_what_is_wrong_in_a_suite_is_named(old: str, new: str, says: str) -> None:
    """With its place."""
    text = SUITE.replace('requests_file = "requests.jsonl"\n', "").replace(old, new)
    with pytest.raises(ParityInvalid) as caught:
        parse_suite(text.encode())
    assert says in str(caught.value)


def test_a_file_of_requests_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    """With the line."""
    path = tmp_path / "suite.toml"
    path.write_text(SUITE)
    with pytest.raises(ParityInvalid, match=r"requests_file: requests\.jsonl can't be read"):
        load_suite(path)
    (tmp_path / "requests.jsonl").write_text("{}\n{\n")
    with pytest.raises(ParityInvalid, match="has in line 2 what is no JSON"):
        load_suite(path)
    with pytest.raises(ParityInvalid, match="request: is missing"):
        parse_suite(b"schema = 1")
