"""The documents' `CanaryRouter`: one line, two sides, the documents' share."""

import pytest

from agt.router import CanaryRouter, Route, Runtimes, Selector, SelectorInvalid, position

pytestmark = pytest.mark.anyio


class Legacy:
    """A side that only sends."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, data: bytes) -> str:
        self.sent.append(data)
        return "hoped"


class Reliable(Legacy):
    """A side that confirms; its `send` must not be used."""

    async def send_reliable(self, data: bytes) -> str:
        self.sent.append(data)
        return "confirmed"

    async def send(self, data: bytes) -> str:
        raise AssertionError("the reliable way is there")


async def test_half_of_the_devices_go_each_way_and_stay_there() -> None:
    """Document 004's line; each side's own answer comes back."""
    legacy, new = Legacy(), Reliable()
    router = CanaryRouter(legacy, new, canary_pct=50)
    for number in range(1000):
        name = f"device-{number}"
        expected = "confirmed" if position(name) < 50 else "hoped"
        assert await router.send(name, b"x") == expected
        assert await router.send(name, b"x") == expected
    assert 800 < len(new.sent) < 1200


async def test_percentage_can_be_set_while_messages_flow() -> None:
    """0 takes everything back."""
    router = CanaryRouter(Legacy(), Reliable(), canary_pct=100)
    assert await router.send("a", b"x") == "confirmed"
    router.canary_pct = 0
    assert await router.send("a", b"x") == "hoped"
    assert router.canary_pct == 0


async def test_selector_form_decides_by_all_of_its_rules() -> None:
    """A function is asked for each message, so that a reloaded selector counts at once; None is control."""
    current: list[Selector | None] = [
        Selector(runtimes=Runtimes(control="v4", candidate="v5"), runtime=Route(enabled=True, cohort=("a",)))
    ]
    router = CanaryRouter(Legacy(), Reliable(), selector=lambda: current[0])
    assert await router.send("a", b"x") == "confirmed"
    assert await router.send("b", b"x") == "hoped"
    assert router.decide("a").reason == "a is in the cohort"
    current[0] = None
    assert await router.send("a", b"x") == "hoped"


async def test_variable_lowers_the_share() -> None:
    """`CANARY_PERCENTAGE=0` of docs/reference/facts.md, 2."""
    router = CanaryRouter(Legacy(), Reliable(), canary_pct=100, environment={"CANARY_PERCENTAGE": "0"})
    assert await router.send("a", b"x") == "hoped"


@pytest.mark.parametrize("percentage", [-1, 101, float("nan"), 10.001])
def test_senseless_percentage_is_refused(percentage: float) -> None:
    """At the constructor and at the setter alike."""
    with pytest.raises(SelectorInvalid):
        CanaryRouter(Legacy(), Reliable(), canary_pct=percentage)
    router = CanaryRouter(Legacy(), Reliable(), canary_pct=10)
    with pytest.raises(SelectorInvalid):
        router.canary_pct = percentage
    assert router.canary_pct == 10


def test_wrong_arguments_are_told_at_once() -> None:
    """Neither or both ways of deciding, and a side that can't send."""
    with pytest.raises(SelectorInvalid, match="either canary_pct or selector"):
        CanaryRouter(Legacy(), Reliable())
    with pytest.raises(TypeError, match="neither send_reliable nor send"):
        CanaryRouter(Legacy(), object(), canary_pct=1)  # type: ignore[arg-type]
