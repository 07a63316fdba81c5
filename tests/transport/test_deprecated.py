"""What goes says so where it is used, and is remembered by line: nobody on legacy stays unnamed."""

import inspect
import threading

import pytest

from agt.transport import LegacyTransport, TCPConnection, deprecated, legacy_uses
from agt.transport import _deprecated as private

pytestmark = pytest.mark.anyio
HERE = __file__


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    """Each test has a memory of its own."""
    monkeypatch.setattr(private, "_memory", private._Memory())


@deprecated("Use the other one instead")
class Old:
    """A class that goes."""

    def __init__(self, value: int = 1) -> None:
        self.value = value


class Older(Old):
    """One that is built on it."""

    def __init__(self) -> None:
        super().__init__(2)


@deprecated("Call new() instead")
def old() -> int:
    """Answer."""
    return 7


@deprecated("Await new() instead")
async def old_async() -> int:
    """Answer later."""
    return 8


def line() -> int:
    """Return the line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


async def test_a_use_warns_at_the_callers_line_and_still_works() -> None:
    """The warning names what goes and what to do instead."""
    with pytest.warns(DeprecationWarning, match=r"^Old is deprecated: Use the other one instead$") as caught:
        made, at = Old(5), line()
    assert (made.value, caught[0].filename, caught[0].lineno) == (5, HERE, at)
    with pytest.warns(DeprecationWarning, match=r"^old is deprecated"):
        assert old() == 7
    with pytest.warns(DeprecationWarning, match=r"^old_async is deprecated"):
        assert await old_async() == 8
    assert inspect.iscoroutinefunction(old_async)


def test_the_mark_is_the_one_of_pep_702() -> None:
    """Tools that look for it find it, and the class stays the class that it was."""
    assert Old.__deprecated__ == "Use the other one instead"
    assert old.__deprecated__ == "Call new() instead"
    assert LegacyTransport.__deprecated__ == "Use ReliableTransport instead"
    assert inspect.isclass(Old)
    assert str(inspect.signature(LegacyTransport)) != "(*args, **kwargs)"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_uses_are_counted_by_line() -> None:
    """By file, line and function, the most frequent first; a subclass by the line that calls up."""
    for _ in range(3):
        Old(), (at := line())
    Older()
    first, second = legacy_uses()
    assert (first.name, first.file, first.line, first.function, first.count) == (
        "Old",
        HERE,
        at,
        "test_uses_are_counted_by_line",
        3,
    )
    assert (second.function, second.count) == ("__init__", 1)
    assert str(first).startswith(f"{HERE}:{at} in test_uses_are_counted_by_line: Old, 3 times")


def test_a_warning_that_is_an_error_is_counted_too() -> None:
    """Who runs with `-W error` sees it, and so does the memory."""
    with pytest.raises(DeprecationWarning):
        LegacyTransport(TCPConnection("127.0.0.1", 1))
    assert [use.name for use in legacy_uses()] == ["LegacyTransport"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_memory_is_bounded_and_takes_any_thread(monkeypatch) -> None:
    """Lines beyond the limit are counted together; threads lose no count."""
    monkeypatch.setattr(private, "SITES_MAX", 1)
    threads = [threading.Thread(target=lambda: [old() for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    old()
    assert sorted((use.file, use.count) for use in legacy_uses()) == [("", 1), (HERE, 800)]
