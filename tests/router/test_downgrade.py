"""Who may come back on the legacy wire: what the selector says of the name, asked by the transport's listeners."""

from agt.router import Override, Route, Runtimes, Selector, explain
from agt.transport import NativeNames


def test_a_name_may_go_back_to_legacy_exactly_while_the_selector_has_it_on_control() -> None:
    """A rollback opens the way, an advance closes it again; the transport knows no selector, only the answer."""
    runtimes = Runtimes(control="legacy", candidate="reliable")
    selector = Selector(runtimes=runtimes, runtime=Route(default="reliable", enabled=True))
    names = NativeNames(allow_legacy=lambda name: explain(selector, name).runtime == selector.runtimes.control)
    for name in ("lamp-1", "lamp-2"):
        names.add(name)
    assert [names.refuses(name) for name in ("lamp-1", "lamp-2", "never-native")] == [True, True, False]
    held = Override(device="lamp-2", runtime="legacy", owner="ana", reason="flickers", expires=None)
    selector = Selector(runtimes=runtimes, runtime=selector.runtime, overrides=(held,))
    assert [names.refuses(name) for name in ("lamp-1", "lamp-2")] == [True, False]
    selector = Selector(runtimes=runtimes, runtime=Route(default="reliable", enabled=True, kill_switch=True))
    assert [names.refuses(name) for name in ("lamp-1", "lamp-2")] == [False, False]
