"""Faults of the demo: what was asked for by name, put in force on all of the fleet's proxies."""

from collections.abc import Callable, Sequence

import anyio

from agt.chaos.demo._scopes import Routes, scope_of
from agt.chaos.faults import Fault, make_fault
from agt.chaos.proxy import FaultProxy, Flow, Scope

LOOK_S = 0.1
"""How often the scopes look at the selector."""

_MAKE: dict[str, Callable[[float], Fault]] = {
    "latency": lambda seconds: make_fault("latency", delay_s=seconds),
    "jitter": lambda seconds: make_fault("jitter", spread_s=seconds),
    "bandwidth": lambda rate: make_fault("bandwidth", bits_per_s=rate),
    "limit": lambda count: make_fault("limit", after_bytes=count),
    "slow_close": lambda seconds: make_fault("slow_close", delay_s=seconds),
}


class FleetFaults:
    """Adds faults to every proxy and keeps their scopes in step with the selector."""

    def __init__(self, proxies: Sequence[FaultProxy], routes: Routes) -> None:
        self._proxies, self._routes = proxies, routes

    def add(self, kind: str, target: str, amount: float) -> None:
        """Put a fault in force.

        Args:
            kind: One of `agt.chaos.faults.FAULTS`.
            target: `candidate`, `control` or `all`.
            amount: Seconds for latency (one way, towards the gateway), jitter, slow_close, cut and down; bits a second
                for bandwidth; bytes for limit; a share for the others; 0 means always.

        Raises:
            ValueError: when kind or target is unknown.
        """
        fault = _MAKE[kind](amount) if kind in _MAKE else make_fault(kind)
        scope = scope_of(target, self._routes)
        if kind == "latency":
            scope = _towards_gateway(scope)
        share = amount if not fault.standing and kind not in _MAKE and amount else 1.0
        for proxy in self._proxies:
            if fault.standing and kind not in _MAKE and amount:
                proxy.add(fault, scope, for_s=amount)
            else:
                proxy.add(fault, scope, probability=share)

    def clear(self) -> None:
        """End all faults."""
        for proxy in self._proxies:
            proxy.clear()

    @property
    def struck(self) -> dict[str, int]:
        """How many frames each kind has struck, over all proxies."""
        total: dict[str, int] = {}
        for proxy in self._proxies:
            for kind, times in proxy.struck.items():
                total[kind] = total.get(kind, 0) + times
        return total

    async def follow(self) -> None:
        """Follow the selector until cancelled."""
        while True:
            if self._routes.look():
                for proxy in self._proxies:
                    proxy.refresh()
            await anyio.sleep(LOOK_S)


def _towards_gateway(scope: Scope) -> Scope:
    def chosen(flow: Flow) -> bool:
        return flow.direction == "to_target" and scope(flow)

    return chosen
