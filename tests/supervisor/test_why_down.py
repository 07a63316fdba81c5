"""Why a component is as it is: the chain down to what is the matter."""

from collections.abc import Mapping

from agt.supervisor.components._why import Standing, chain


def names(found: tuple[tuple[str, Standing], ...]) -> str:
    """The chain in one line."""
    return " ".join(name for name, _ in found)


def standings(**says: str) -> Mapping[str, Standing]:
    """Build standings from `state: reason`."""
    return {name: Standing(*text.split(": ", 1)) for name, text in says.items()}


def test_the_chain_ends_at_what_is_the_matter() -> None:
    """A component waits for one that waits for one that is held down."""
    stand = standings(ui="waiting: x", daemon="waiting: x", gateway="held-down: after 5 failures")
    needs = {"ui": ("daemon", "gateway"), "daemon": ("gateway",), "gateway": ()}
    found = chain("ui", stand, needs.__getitem__)
    assert names(found) == "ui daemon gateway"
    assert [standing.says for _, standing in found] == [
        "waits for daemon, gateway",
        "waits for gateway",
        "after 5 failures",
    ]


def test_what_is_ready_waits_for_nobody() -> None:
    """A running component is not explained by a dependency that died since."""
    stand = standings(daemon="ready: is ready", gateway="backoff: starts again")
    assert names(chain("daemon", stand, lambda name: ("gateway",) * (name == "daemon"))) == "daemon"


def test_each_is_named_once() -> None:
    """Two ways to the same component, and even a circle, end."""
    stand = standings(a="waiting: x", b="waiting: x", c="waiting: x")
    needs = {"a": ("b", "c"), "b": ("c",), "c": ("a",)}
    assert names(chain("a", stand, needs.__getitem__)) == "a b c"
