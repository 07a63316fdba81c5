"""The driver of a suite: the same requests to both sides, taking turns in who goes first. Holds no rules of its own."""

import time
from collections.abc import Callable, Iterator

import anyio
import msgspec

from agt.router._ignore import expired_rules
from agt.router.parity._source import Answer, Call, Source, SourceFailed
from agt.router.parity._values import ABSENT
from agt.router.regression._checks import checks_of
from agt.router.regression._invariants import InvariantChecker
from agt.router.regression._result import SuiteResult, suite_result
from agt.router.regression._sample import Output, Sample, seeded
from agt.router.regression._suite import Request, Suite
from agt.router.regression._tally import Tally

GIVE_UP_AFTER = 10
"""Calls of one side in a row that fail before a run is given up: an absent server need not be asked 50 times."""

OnSample = Callable[[int, int], None]


async def run_suite(
    suite: Suite,
    control: Source,
    candidate: Source,
    *,
    wall: Callable[[], float] = time.time,
    on_sample: OnSample | None = None,
) -> SuiteResult:
    """Send a suite to both sides and judge the candidate.

    Args:
        suite: What to send, and what may differ.
        control: Who answers as things are.
        candidate: Who is to take over.
        wall: Wall-clock time in seconds, for the ends of ignore rules.
        on_sample: Called with the samples done and the samples in all, to show progress.

    Returns:
        A result, whatever happens: a side that doesn't answer is the verdict `error`.
    """
    started, now = anyio.current_time(), wall()
    tally = Tally(suite, now=now)
    checkers = [InvariantChecker(one) for one in suite.invariants]
    todo = list(enumerate((request, seed) for seed in suite.seeds for request in suite.requests))
    todo.reverse()
    total, done = len(todo), 0

    async def work() -> None:
        nonlocal done
        while todo and max(tally.control.row, tally.candidate.row) < GIVE_UP_AFTER:
            number, (request, seed) = todo.pop()
            sample = await _sample(suite, request, seed, control, candidate, control_first=number % 2 == 0)
            tally.add(sample)
            for checker in checkers:
                await checker.look(sample)
            done += 1
            if on_sample is not None:
                on_sample(done, total)

    async with anyio.create_task_group() as tasks:
        for _ in range(min(suite.at_once, total)):
            tasks.start_soon(work)
    checks = checks_of(suite, tally, tuple(checker.tally for checker in checkers))
    return suite_result(
        suite,
        tally,
        checks,
        given_up=done < total,
        took_s=anyio.current_time() - started,
        sources=(control.name, candidate.name),
        expired=expired_rules(suite.ignore, now=now),
    )


async def _sample(
    suite: Suite, request: Request, seed: int, control: Source, candidate: Source, *, control_first: bool
) -> Sample:
    call = _call(request, seed)
    answers: dict[bool, list[Output]] = {True: [], False: []}
    for _ in range(suite.repeats):
        for on_control in _turns(first=control_first):
            answers[on_control].append(await _output(suite, control if on_control else candidate, call))
    return Sample(
        request=request.name,
        seed=seed,
        body=None if call.body is ABSENT else call.body,
        control=tuple(answers[True]),
        candidate=tuple(answers[False]),
    )


def _turns(*, first: bool) -> Iterator[bool]:
    yield from (first, not first)


def _call(request: Request, seed: int) -> Call:
    return Call(
        name=request.name,
        seed=seed,
        body=ABSENT if request.body is msgspec.UNSET else seeded(request.body, seed),
        method=request.method,
        path=str(seeded(request.path, seed)),
        arguments=tuple(str(seeded(argument, seed)) for argument in request.arguments),
    )


async def _output(suite: Suite, source: Source, call: Call) -> Output:
    try:
        answer = await source.ask(call)
    except SourceFailed as error:
        return Output(problem=error.says, reached=error.status is not None)
    if answer.status is not None and answer.status >= 500:
        return Output(problem=f"answers with status {answer.status}", took_s=answer.took_s)
    try:
        value = _value(suite, answer)
    except ValueError as error:
        return Output(problem=f"answers with what {error}", took_s=answer.took_s)
    return Output(value=value, took_s=answer.took_s)


def _value(suite: Suite, answer: Answer) -> object:
    """The answer as a value; what a server refuses (404, say) is an answer too, and must be the same on both sides."""
    if suite.output == "text":
        value: object = (answer.data or b"").decode("utf-8", "replace") if answer.data is not None else answer.value
    elif answer.refused and not answer.data:
        value = None
    else:
        value = answer.decoded()
    return {"$status": answer.status, "$body": value} if answer.refused else value
